// The loop of a reinforcement-learning run. What it knows of earlier steps beyond the checkpoint (stop rules, the best
// evaluation, curves) it takes from metrics.jsonl, which a resumed run has up to that checkpoint.
#include "train/grpo/run.h"

#include <fmt/format.h>

#include <fstream>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "model/tensor_io.h"
#include "nla/activation_input.h"
#include "train/batch_source.h"
#include "train/checkpoint.h"
#include "train/collectives/rank_share.h"
#include "train/event_file.h"
#include "train/grpo/rl_task.h"
#include "train/grpo/run_page.h"
#include "train/grpo/stop_rules.h"
#include "train/metrics_log.h"
#include "train/run_directory.h"
#include "train/run_display.h"

namespace nla {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kPreflightRows = 4;

// Fields that a continued run may change: where things are (what they hold is checked by hash), how long it goes on,
// how often it reports, when it stops.
constexpr std::string_view kRlMayChange[] = {"pair",
                                             "base_model",
                                             "out",
                                             "steps",
                                             "eval_every",
                                             "eval_rows",
                                             "save_every",
                                             "rollouts_every",
                                             "heldout",
                                             "train_seconds_limit",
                                             "store_dtype",
                                             "preflight",
                                             "rollout.servers",
                                             "rollout.concurrency",
                                             "rollout.weights",
                                             "rollout.agreement",
                                             "stop.window",
                                             "stop.shuffled_gap",
                                             "stop.retention_drop",
                                             "stop.length_ratio",
                                             "stop.extraction",
                                             "stop.kl",
                                             "stop.skipped"};

std::vector<ordered_json> ReadLines(const fs::path& path) {
  std::vector<ordered_json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(ordered_json::parse(line));
  return lines;
}

// The curves that the display has, in its order.
struct Plotted {
  const char* kind;
  const char* field;
  const char* name;
};
constexpr Plotted kPlotted[] = {{"step", "reward", "reward"},
                                {"eval", "fve_raw_variance", "held-out FVE"},
                                {"step", "kl", "KL"},
                                {"step", "tokens_mean", "length"},
                                {"step", "extraction_rate", "extraction"}};

std::vector<std::string> CurveNames() {
  std::vector<std::string> names;
  for (const Plotted& plotted : kPlotted) names.emplace_back(plotted.name);
  return names;
}

struct LoopParts {
  PairModel& model;
  RlTask& task;
  BatchSource& source;
  std::span<const ActivationRow> heldout;  // may be empty
  RlOptions& options;
  Communicator& ranks;
};

class RlLoop {
 public:
  explicit RlLoop(const LoopParts& input)
      : in_(input),
        run_(input.options.out),
        recipe_(DumpYaml(Fields(input.options))),
        state_(Restore()),
        rules_(input.options.stop),
        display_("rl", input.options.steps, CurveNames()) {
    if (!in_.ranks.writes()) return;
    log_.emplace(run_ / "metrics.jsonl", saved_step_);
    rollout_log_.emplace(run_ / "rollouts.jsonl", saved_step_);
    events_.emplace(run_ / kEventsName, saved_step_ + 1);
    WriteFileAtomically(run_ / "recipe.yaml", recipe_);
    for (const ordered_json& line : ReadLines(run_ / "metrics.jsonl")) Observe(line);
    rollouts_ = ReadLines(run_ / "rollouts.jsonl");
  }

  RlResult Run() {
    if (in_.ranks.writes()) display_.Begin(step());
    in_.task.Begin(step());
    if (saved_step_ < 0) {
      Preflight();
      Evaluate();
    }
    while (in_.ranks.Agree(step() < in_.options.steps && !OutOfTime() && !rules_.reason())) {
      Step();
      if (Due(in_.options.eval_every) && step() < in_.options.steps && !rules_.reason()) Evaluate();
      if (interrupted_) {
        Save();
        Fail({.what = fmt::format("interrupted after step {}; a checkpoint is saved", step()),
              .mend = "Go on with --resume"});
      }
      if (Due(in_.options.save_every)) Save();
    }
    return End();
  }

 private:
  int64_t step() const { return state_.counters.step; }
  bool Due(int64_t every) const { return every > 0 && step() % every == 0; }

  bool OutOfTime() const {
    return in_.options.train_seconds_limit > 0 && state_.seconds >= in_.options.train_seconds_limit;
  }

  // Tensors of both optimisers, told apart by a prefix.
  static std::vector<NamedTensor> Joined(std::vector<NamedTensor> actor, const std::vector<NamedTensor>& critic) {
    for (NamedTensor& named : actor) named.name = "av." + named.name;
    for (const NamedTensor& named : critic) actor.push_back({"ar." + named.name, named.tensor});
    return actor;
  }

  // Loads the newest checkpoint, if any.
  RunState Restore() {
    const std::optional<fs::path> checkpoint = NewestCheckpoint(run_, in_.ranks);
    if (!checkpoint) {
      RunState fresh;
      fresh.began_with = in_.model.began_with;
      return fresh;
    }
    RunState state = LoadCheckpoint(*checkpoint, Joined(in_.task.actor().State(), in_.task.critic().State()));
    if (state.began_with != in_.model.began_with || state.sides.size() != 2) {
      Fail({.where = (*checkpoint / "state.json").string() + ": began_with",
            .what = "the run began with another pair, which is its reference policy",
            .found = fmt::format("{} has weights {}…", in_.options.pair, in_.model.began_with.substr(0, 16)),
            .wanted = state.began_with.substr(0, 16) + "…",
            .mend = "Put the pair back that the run began with, or start over with --replace"});
    }
    in_.task.actor().StateChanged();
    in_.task.critic().StateChanged();
    in_.task.actor().set_counters(state.sides[0]);
    in_.task.critic().set_counters(state.sides[1]);
    in_.source.Seek(state.cursor);
    saved_step_ = state.counters.step;
    spdlog::info("continuing after step {}", state.counters.step);
    return state;
  }

  void Preflight() {
    if (!in_.options.preflight || !in_.ranks.writes()) return;
    const DataCursor begin = in_.source.cursor();
    const std::vector<ActivationRow> rows = in_.source.Next(kPreflightRows);
    in_.source.Seek(begin);
    ordered_json line = {{"kind", "preflight"}, {"step", step()}};
    line.update(in_.task.Preflight(rows, in_.heldout));
    Record(line);
    spdlog::info("preflight passed: {}", line.dump());
  }

  void Step() {
    const Clock::time_point begin = Clock::now();
    const std::vector<ActivationRow> rows = in_.source.Next(in_.options.prompts);
    const RlStep result = in_.task.Step(rows, step() + 1);
    const double seconds = in_.ranks.Agree(SecondsSince(begin));
    double interrupted = Interrupted() ? 1 : 0;
    in_.ranks.Sum({&interrupted, 1});
    interrupted_ = interrupted > 0;
    ++state_.counters.step;
    state_.counters.updates += result.skipped ? 0 : 1;
    state_.counters.skipped += result.skipped ? 1 : 0;
    state_.cursor = in_.source.cursor();
    state_.rows += static_cast<int64_t>(rows.size());
    state_.tokens += result.tokens;
    state_.seconds += seconds;
    state_.sides = {in_.task.actor().counters(), in_.task.critic().counters()};
    const double replies = static_cast<double>(rows.size()) * static_cast<double>(in_.options.samples);
    ordered_json line = {{"kind", "step"},
                         {"step", step()},
                         {"epoch", static_cast<double>(state_.rows) / static_cast<double>(in_.source.rows_per_epoch())},
                         {"rows", state_.rows},
                         {"tokens", state_.tokens}};
    line.update(result.figures);
    line["skipped_steps"] = state_.counters.skipped;
    line["samples_per_second"] = replies / seconds;
    line["tokens_per_second"] = static_cast<double>(result.tokens) / seconds;
    line["seconds"] = state_.seconds;
    if (!in_.ranks.writes()) return;
    Record(line);
    if (Due(in_.options.rollouts_every)) RecordRollouts(result.rollouts);
    last_reward_ = line["reward"].get<double>();
    if (!result.rollouts.empty()) {
      const ordered_json& shown = result.rollouts.front();
      display_.SetSample(shown.value("reply", ""), shown.value("reward", 0.0));
    }
    for (const char* what : {"rollout", "score", "train"}) {
      display_.SetSeconds(what, line.value(std::string(what) + "_seconds", 0.0));
    }
    if (!in_.options.rollout.servers.empty()) display_.SetSeconds("sync", line.value("sync_seconds", 0.0));
    display_.Update(step(), fmt::format("reward {:.3f}, {:.0f} % extracted{}", last_reward_,
                                        100 * line["extraction_rate"].get<double>(), headline_));
  }

  // What the log will read back is what is looked at now: a resumed run sees the same.
  void Record(const ordered_json& line) {
    log_->Append(line);
    events_->Append(line);
    Observe(ordered_json::parse(line.dump()));
  }

  void Observe(const ordered_json& line) {
    rules_.Observe(line);
    Plot(line);
    if (line.value("kind", "") == "eval") {
      evaluation_ = line;
      evaluation_.erase("kind");
      evaluation_.erase("step");
      const double fve = line.value("fve_raw_variance", 0.0);
      is_best_ = best_step_ < 0 || fve > best_fve_;
      if (is_best_) {
        best_step_ = line["step"].get<int64_t>();
        best_fve_ = fve;
      }
      headline_ = fmt::format(", FVE {:.3f}", fve);
    }
    metrics_.push_back(line);
  }

  void Plot(const ordered_json& line) {
    for (const Plotted& plotted : kPlotted) {
      const auto value = line.find(plotted.field);
      if (line.value("kind", "") != plotted.kind || value == line.end() || !value->is_number()) continue;
      display_.AddPoint(plotted.name, value->get<double>());
    }
  }

  void RecordRollouts(const std::vector<ordered_json>& rollouts) {
    for (const ordered_json& rollout : rollouts) {
      ordered_json line = {{"kind", "rollout"}, {"step", step()}};
      line.update(rollout);
      rollout_log_->Append(line);
      rollouts_.push_back(std::move(line));
    }
  }

  void Evaluate() {
    if (in_.heldout.empty() || !in_.ranks.writes()) return;
    ordered_json line = {{"kind", "eval"}, {"step", step()}};
    line.update(in_.task.Evaluate(in_.heldout));
    Record(line);
    spdlog::info("step {}: held out: FVE {:.3f} (raw variance), {:.3f} (mean norm), shuffled {:.3f}, {:.0f} tokens",
                 step(), line["fve_raw_variance"].get<double>(), line["fve_mean_norm"].get<double>(),
                 line["floor_shuffled"].get<double>(), line["tokens_mean"].get<double>());
    if (is_best_) WritePair(kBestName);
    WritePage(fmt::format("After step {} of {}.", step(), in_.options.steps));
  }

  void WritePair(const char* name) {
    WriteTrainedPair(run_ / name, {.model = in_.model,
                                   .actor = in_.task.actor(),
                                   .critic = in_.task.critic(),
                                   .options = Fields(in_.options),
                                   .step = step(),
                                   .evaluation = evaluation_,
                                   .store = ChooseDType(in_.options.store_dtype)});
  }

  void WritePage(const std::string& state) {
    std::string best;
    if (best_step_ >= 0) best = fmt::format(" Best held-out FVE: {:.4f} after step {}.", best_fve_, best_step_);
    WriteFileAtomically(
        run_ / "curves.html",
        RunPage({.title = run_.string(), .state = state + best, .metrics = metrics_, .rollouts = rollouts_}));
  }

  void Save() {
    const std::vector<NamedTensor> tensors = Joined(in_.task.actor().WholeState(), in_.task.critic().WholeState());
    if (in_.ranks.writes()) {
      // What the checkpoint counts as done must be on disk before it.
      log_->Sync();
      rollout_log_->Sync();
      SaveCheckpoint(run_, state_, tensors, recipe_);
    }
    saved_step_ = step();
  }

  RlResult End() {
    // A run that was killed while it finished has the line already.
    if (log_ && log_->last_eval_step() != step()) Evaluate();
    if (saved_step_ != step()) Save();
    const std::string stopped_by = rules_.reason() ? *rules_.reason() : step() >= in_.options.steps ? "steps" : "time";
    if (rules_.reason()) spdlog::warn("stopped after step {} by a rule: {}", step(), stopped_by);
    if (in_.ranks.writes()) WriteEnd(stopped_by);
    return {.steps = step(),
            .rows = state_.rows,
            .replies = state_.rows * in_.options.samples,
            .skipped_steps = state_.counters.skipped,
            .seconds = state_.seconds,
            .last_reward = last_reward_,
            .stopped_by = stopped_by,
            .evaluation = evaluation_,
            .best_step = best_step_,
            .best_fve = best_fve_,
            .pair = run_ / kFinalName};
  }

  void WriteEnd(const std::string& stopped_by) {
    WritePair(kFinalName);
    WritePage(fmt::format("Ended after step {} of {} by {}.", step(), in_.options.steps, stopped_by));
  }

  const LoopParts& in_;
  fs::path run_;
  std::string recipe_;
  int64_t saved_step_ = -1;  // of the newest checkpoint; -1 without one
  RunState state_;
  std::optional<MetricsLog> log_, rollout_log_;  // of the rank that writes
  std::optional<EventFile> events_;              // likewise
  StopRules rules_;
  RunDisplay display_;
  std::vector<ordered_json> metrics_, rollouts_;  // what the logs hold
  ordered_json evaluation_;                       // the last one
  bool is_best_ = false;                          // it is the best so far
  int64_t best_step_ = -1;
  double best_fve_ = 0;
  std::string headline_;
  double last_reward_ = 0;
  bool interrupted_ = false;  // on any rank
};

// Whether the rows are raw activations of the pair's layer, as far as the file tells.
void CheckHeldOut(const RlOptions& options, const PairModel& model) {
  if (options.heldout.empty()) return;
  ActivationInput input;
  input.path = options.heldout;
  input.limit = options.eval_rows;
  OpenActivations(input, model.actor.sidecar);
}

}  // namespace

RlResult TrainRl(RlOptions options, StartMode mode) {
  CheckOptions(options);
  // "auto" is settled first: the recipe on disk says what was done, and a resumed run must do the same.
  options.dtype = NameOfDType(ChooseDType(options.dtype));
  const std::shared_ptr<Communicator> ranks = JoinedProcesses();
  CheckShares("prompts", options.prompts, *ranks);
  CheckShares("prompts / ar_updates", options.prompts / options.ar_updates, *ranks);
  if (ranks->writes()) {
    CheckRunDirectory(options.out, mode);
    if (mode == StartMode::kResume) {
      RlOptions before;
      CheckSameRecipe(options.out, {Fields(options), Fields(before)}, kRlMayChange);
    }
  }
  PairModel model = LoadPairModel(options);
  CheckHeldOut(options, model);
  const HeldOutRule rule{.fraction = options.heldout.empty() ? options.heldout_fraction : 0, .seed = options.seed};
  const std::vector<ActivationRow> heldout = HeldOutRows(options.dataset, options.heldout, rule, options.eval_rows);
  BatchSource source(options.dataset, rule);
  RlTask task(model, options);
  if (ranks->writes()) PrepareRunDirectory(options.out, mode);
  spdlog::info("{} rows an epoch, {} steps of {} × {} replies, {} and {} trained tensors, {}", source.rows_per_epoch(),
               options.steps, options.prompts, options.samples, task.actor().trainables().size(),
               task.critic().trainables().size(), options.dtype);
  const LoopParts parts{
      .model = model, .task = task, .source = source, .heldout = heldout, .options = options, .ranks = *ranks};
  return RlLoop(parts).Run();
}

}  // namespace nla
