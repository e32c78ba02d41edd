// The supervised training loop.
#include "train/sft/loop.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "train/collectives/rank_share.h"
#include "train/event_file.h"
#include "train/metrics_log.h"
#include "train/run_display.h"

namespace nla {
namespace {

class SftLoop {
 public:
  explicit SftLoop(const LoopInput& input)
      : in_(input),
        run_(input.options.out),
        state_(Restore()),
        display_("train", input.total_steps, {"loss", "held-out FVE", "held-out gap", "gradient norm"}) {
    if (in_.ranks.writes()) {
      log_.emplace(run_ / "metrics.jsonl", saved_step_);
      events_.emplace(run_ / kEventsName, saved_step_ + 1);
      WriteFileAtomically(run_ / "recipe.yaml", in_.recipe);
    }
    if (in_.ranks.writes()) display_.Begin(state_.counters.step);
  }

  LoopResult Run() {
    if (saved_step_ < 0) Evaluate();
    while (state_.counters.step < in_.total_steps && !OutOfTime()) {
      Step();
      const int64_t step = state_.counters.step;
      if (Due(in_.options.eval_every, step) && step < in_.total_steps) Evaluate();
      if (interrupted_) {
        Save();
        Fail({.what = fmt::format("interrupted after step {}; a checkpoint is saved", step),
              .mend = "Go on with --resume"});
      }
      if (Due(in_.options.save_every, step)) Save();
    }
    return Finish();
  }

 private:
  static bool Due(int64_t every, int64_t step) { return every > 0 && step % every == 0; }

  bool OutOfTime() const {
    return in_.options.train_seconds_limit > 0 && state_.seconds >= in_.options.train_seconds_limit;
  }

  // Loads the newest checkpoint, if any.
  RunState Restore() {
    const std::optional<fs::path> checkpoint = NewestCheckpoint(run_, in_.ranks);
    if (!checkpoint) return {};
    RunState state = LoadCheckpoint(*checkpoint, in_.task.optimizer().State());
    in_.task.optimizer().StateChanged();
    in_.task.optimizer().set_counters(state.counters);
    in_.source.Seek(state.cursor);
    saved_step_ = state.counters.step;
    spdlog::info("continuing after step {}", state.counters.step);
    return state;
  }

  void Step() {
    const Clock::time_point begin = Clock::now();
    const std::vector<ActivationRow> rows = in_.source.Next(in_.options.batch_size);
    TrainStep step = in_.task.Step(RankShare(std::span(std::as_const(rows)), in_.ranks));
    MergeRanks(step.batch);
    const double seconds = in_.ranks.Agree(SecondsSince(begin));
    state_.counters = in_.task.optimizer().counters();
    state_.cursor = in_.source.cursor();
    state_.rows += step.batch.rows;
    state_.tokens += step.batch.tokens;
    state_.seconds += seconds;
    last_loss_ = step.batch.loss;
    window_rows_ += step.batch.rows;
    window_tokens_ += step.batch.tokens;
    window_seconds_ += seconds;
    if (Due(in_.options.log_every, state_.counters.step)) LogStep(step);
    display_.AddPoint("loss", step.batch.loss);
    display_.AddPoint("gradient norm", step.outcome.grad_norm);
    display_.Update(state_.counters.step, fmt::format("loss {:.4f}{}", step.batch.loss, headline_));
  }

  void LogStep(const TrainStep& step) {
    Record({{"kind", "step"},
            {"step", state_.counters.step},
            {"epoch", static_cast<double>(state_.rows) / static_cast<double>(in_.source.rows_per_epoch())},
            {"rows", state_.rows},
            {"tokens", state_.tokens},
            {"loss", step.batch.loss},
            {"lr", step.outcome.lr},
            {"grad_norm", step.outcome.grad_norm},
            {"skipped_steps", state_.counters.skipped},
            {"samples_per_second", static_cast<double>(window_rows_) / window_seconds_},
            {"tokens_per_second", static_cast<double>(window_tokens_) / window_seconds_},
            {"seconds", state_.seconds}});
    window_rows_ = window_tokens_ = 0;
    window_seconds_ = 0;
  }

  // The batch of all ranks, from this one's share of it.
  void MergeRanks(BatchLoss& batch) {
    std::vector<double> sums = {batch.loss * batch.weight, batch.weight, static_cast<double>(batch.rows),
                                static_cast<double>(batch.tokens), Interrupted() ? 1.0 : 0.0};
    in_.ranks.Sum(sums);
    interrupted_ = sums[4] > 0;
    if (in_.ranks.size() == 1) return;
    batch = {.loss = sums[0] / sums[1],
             .weight = sums[1],
             .rows = static_cast<int64_t>(sums[2]),
             .tokens = static_cast<int64_t>(sums[3])};
  }

  void Evaluate() {
    if (in_.heldout.empty() || !in_.ranks.writes()) return;
    evaluation_ = in_.task.Evaluate(in_.heldout);
    nlohmann::ordered_json line = {{"kind", "eval"}, {"step", state_.counters.step}};
    line.update(evaluation_);
    // A run that was killed while it finished has the line already.
    if (log_->last_eval_step() != state_.counters.step) Record(line);
    if (const auto fve = line.find("fve_raw_variance"); fve != line.end()) display_.AddPoint("held-out FVE", *fve);
    if (const auto gap = line.find("gap"); gap != line.end()) display_.AddPoint("held-out gap", *gap);
    headline_ = ", " + in_.task.Headline(evaluation_);
    spdlog::info("step {}: held out: {}", state_.counters.step, in_.task.Headline(evaluation_));
  }

  void Record(const nlohmann::ordered_json& line) {
    if (!in_.ranks.writes()) return;
    log_->Append(line);
    events_->Append(line);
  }

  void Save() {
    const std::vector<NamedTensor> tensors = in_.task.optimizer().WholeState();
    if (in_.ranks.writes()) {
      // What the checkpoint counts as done must be on disk before it.
      log_->Sync();
      SaveCheckpoint(run_, state_, tensors, in_.recipe);
    }
    saved_step_ = state_.counters.step;
  }

  LoopResult Finish() {
    Evaluate();
    if (saved_step_ != state_.counters.step) Save();
    const fs::path model = run_ / kFinalName;
    if (in_.ranks.writes()) {
      AtomicDirectory directory(model, true);
      in_.task.WriteModel(directory.temporary_path(), evaluation_);
      WriteFileAtomically(directory.temporary_path() / "recipe.yaml", in_.recipe);
      directory.Commit();
    }
    return {.steps = state_.counters.step,
            .rows = state_.rows,
            .skipped_steps = state_.counters.skipped,
            .seconds = state_.seconds,
            .last_loss = last_loss_,
            .stopped_by = state_.counters.step >= in_.total_steps ? "steps" : "time",
            .evaluation = evaluation_,
            .model = model};
  }

  const LoopInput& in_;
  fs::path run_;
  int64_t saved_step_ = -1;  // of the newest checkpoint; -1 without one
  RunState state_;
  std::optional<MetricsLog> log_;    // of the rank that writes
  std::optional<EventFile> events_;  // likewise
  RunDisplay display_;
  nlohmann::ordered_json evaluation_;
  std::string headline_;
  double last_loss_ = 0;
  bool interrupted_ = false;  // on any rank
  // Since the last line of metrics.jsonl.
  int64_t window_rows_ = 0, window_tokens_ = 0;
  double window_seconds_ = 0;
};

}  // namespace

LoopResult RunLoop(const LoopInput& input) { return SftLoop(input).Run(); }

int64_t TotalSteps(const TrainOptions& options, int64_t rows_per_epoch) {
  if (options.steps > 0) return options.steps;
  const double rows = options.epochs * static_cast<double>(rows_per_epoch);
  return std::max<int64_t>(1, static_cast<int64_t>(rows / static_cast<double>(options.batch_size)));
}

}  // namespace nla
