// `nla verbalize`: activations of a file to explanations, here or on a server.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"
#include "cli/remote_options.h"
#include "client/reply_journal.h"
#include "datagen/explain_rows.h"
#include "nla/activation_input.h"
#include "nla/verbalizer.h"

namespace nla::cli {
namespace {

struct VerbalizeArguments {
  PairArguments pair;
  ActivationInput input;
  std::string out;
  bool replace = false;
  std::string quant = "none";
  VerbalizeOptions verbalize;
  RemoteArguments remote;
};

constexpr int64_t kRowsOnHand = 4096;

nlohmann::ordered_json Describe(const Verbalization& one, int64_t first_row) {
  return {{"index", first_row + one.index},
          {"sample", one.sample},
          {"explanation", one.explanation ? nlohmann::ordered_json(*one.explanation) : nullptr},
          {"raw", one.raw},
          {"finish_reason", one.finish_reason == FinishReason::kStop ? "stop" : "length"},
          {"tokens", one.ids.size()},
          {"logprob", one.logprob}};
}

// The verbalizer that the options name: in this process, or behind --server.
class Explainer {
 public:
  Explainer(const VerbalizeArguments& options, const RoleSource& actor) {
    if (options.remote.given()) {
      RemoteOptions remote = options.remote.Resolve();
      remote.force = options.input.force;
      remote_ = std::make_unique<RemoteVerbalizer>(ActorInputs::Load(actor), remote);
    } else {
      here_ = std::make_unique<Verbalizer>(Verbalizer::Load(actor));
    }
  }

  std::vector<Verbalization> Run(std::span<const float> activations, const VerbalizeOptions& options) const {
    return remote_ ? remote_->Run(activations, options) : here_->Run(activations, options);
  }
  const ModelSidecar& sidecar() const { return remote_ ? remote_->inputs().sidecar() : here_->sidecar(); }
  const RemoteVerbalizer* remote() const { return remote_.get(); }

 private:
  std::unique_ptr<RemoteVerbalizer> remote_;  // one of the two
  std::unique_ptr<Verbalizer> here_;
};

RoleSource Actor(const VerbalizeArguments& options, at::ScalarType compute) {
  if (options.remote.given() && options.quant != "none") {
    FailUsage({.where = "--quant", .what = "is of no use with --server, which writes with the weights that it has"});
  }
  RoleSource actor = LocateActor(options.pair, compute);
  actor.packing = PackingOf(options.quant, compute);
  return actor;
}

// For --json; another server's weights are its own.
nlohmann::ordered_json ShownQuant(const VerbalizeArguments& options) {
  return options.remote.given() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(options.quant);
}

// --out FILE.parquet: the rows again, explained by the verbalizer.
void WriteRows(const VerbalizeArguments& options, const CommonOptions& common, at::ScalarType compute) {
  const RoleSource actor = Actor(options, compute);
  CheckedActivations checked = OpenActivations(options.input, ReadModelSidecar(actor.directory));
  const Explainer explainer(options, actor);
  ExplainRowsOptions rows{.input = options.input.path,
                          .column = options.input.column,
                          .output = options.out,
                          .verbalizer = options.pair.Shown() + (options.quant == "none" ? "" : ", " + options.quant),
                          .verbalize = options.verbalize,
                          .limit = options.input.limit,
                          .replace = options.replace};
  rows.verbalize.seed = common.seed;
  if (const RemoteVerbalizer* remote = explainer.remote()) rows.verbalizer += " on " + remote->server().model;
  const RowExplainer by{explainer.sidecar(), [&](std::span<const float> activations, const VerbalizeOptions& how) {
                          return explainer.Run(activations, how);
                        }};
  const ExplainRowsResult result = ExplainRows(by, checked, rows);
  if (common.json) {
    PrintJson({{"rows_in", result.rows_in},
               {"rows_out", result.rows_out},
               {"dropped", result.dropped},
               {"quant", ShownQuant(options)},
               {"out", options.out}});
  } else {
    fmt::print("{}: {} of {} rows explained\n", options.out, result.rows_out, result.rows_in);
  }
}

// The rows that are wanted, some thousand at a time: work(number of the first, vectors).
template <typename Work>
int64_t ForEachBatch(ActivationReader& reader, int64_t limit, const Work& work) {
  const int64_t all = limit > 0 ? std::min(limit, reader.row_count()) : reader.row_count();
  for (int64_t first = 0; first < all;) {
    const auto batch = reader.Next(std::min(kRowsOnHand, all - first));
    std::vector<float> vectors;
    vectors.reserve(batch.size() * static_cast<size_t>(reader.d_model()));
    for (const ActivationRow& row : batch) vectors.insert(vectors.end(), row.activation.begin(), row.activation.end());
    work(first, vectors);
    first += static_cast<int64_t>(batch.size());
  }
  return all;
}

// All that decides what a journal's lines say.
std::string JournalKey(const VerbalizeArguments& options, const RemoteVerbalizer& remote, uint64_t seed) {
  const std::filesystem::path& input = options.input.path;
  const SamplingOptions& sampling = options.verbalize.sampling;
  const ModelSidecar& actor = remote.inputs().sidecar();
  const nlohmann::ordered_json facts{
      {"input", std::filesystem::absolute(input).string()},
      {"size", std::filesystem::file_size(input)},
      {"changed", std::filesystem::last_write_time(input).time_since_epoch().count()},
      {"column", options.input.column},
      {"limit", options.input.limit},
      {"prompt", remote.inputs().prompt_ids()},
      {"scale", actor.injection_scale.Resolve(actor.d_model).value_or(-1)},
      {"model", remote.server().model},
      {"weights", remote.server().weight_version},
      {"sampling", {sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_new_tokens}},
      {"seed", seed},
      {"samples", options.verbalize.samples}};
  return Sha256Hex(facts.dump());
}

// --server with --out FILE: each reply is on disk as it comes, and a run that was stopped goes on.
int64_t WriteRemote(const VerbalizeArguments& options, const RemoteVerbalizer& remote, ActivationReader& reader,
                    uint64_t seed) {
  if (options.input.path == "-") {
    FailUsage({.where = "--out",
               .what = "rows from a pipe cannot be taken up again after a stop, as --server with --out promises",
               .mend = "Name a file for the activations, or leave --out out and redirect the output"});
  }
  ReplyJournal journal(options.out, JournalKey(options, remote, seed), options.replace);
  Progress progress("verbalize", "replies",
                    std::min(options.input.limit > 0 ? options.input.limit : reader.row_count(), reader.row_count()) *
                        options.verbalize.samples);
  progress.StartAt(journal.size());
  VerbalizeOptions how = options.verbalize;
  how.seed = seed;
  const int64_t rows = ForEachBatch(reader, options.input.limit, [&](int64_t first, std::span<const float> vectors) {
    how.first_row = first;
    const auto there = [&](int64_t index, int64_t sample) { return journal.Has(first + index, sample); };
    remote.Run(vectors, how, there, [&](const Verbalization& one) {
      journal.Add(first + one.index, one.sample, Describe(one, first).dump());
      progress.Update(journal.size());
    });
  });
  journal.Finish();
  return rows;
}

void Run(VerbalizeArguments options, const CommonOptions& common) {
  const at::ScalarType compute = SetUpCompute(common);
  if (options.out.ends_with(".parquet")) return WriteRows(options, common, compute);
  const RoleSource actor = Actor(options, compute);
  ActivationReader reader = OpenActivations(options.input, ReadModelSidecar(actor.directory)).reader;
  const Explainer explainer(options, actor);
  if (explainer.remote() != nullptr && !options.out.empty()) {
    const int64_t rows = WriteRemote(options, *explainer.remote(), reader, common.seed);
    if (common.json) PrintJson({{"rows", rows}, {"out", options.out}});
    return;
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::unique_ptr<AtomicFile> file;
  if (!options.out.empty()) file = std::make_unique<AtomicFile>(options.out);
  Progress progress("verbalize", "rows",
                    options.input.limit > 0 ? std::min(options.input.limit, reader.row_count()) : reader.row_count());
  options.verbalize.seed = common.seed;
  const int64_t all = ForEachBatch(reader, options.input.limit, [&](int64_t first, std::span<const float> vectors) {
    options.verbalize.first_row = first;
    for (const Verbalization& one : explainer.Run(vectors, options.verbalize)) {
      const nlohmann::ordered_json line = Describe(one, first);
      if (file) {
        file->Write(line.dump() + "\n");
      } else if (common.json) {
        rows.push_back(line);
      } else {
        fmt::print("{:>6}  {}\n", first + one.index, line["explanation"].is_null() ? one.raw : *one.explanation);
      }
    }
    progress.Update(first + static_cast<int64_t>(vectors.size()) / reader.d_model());
  });
  if (file) file->Commit();
  if (common.json)
    PrintJson(file ? nlohmann::ordered_json{{"rows", all}, {"quant", ShownQuant(options)}, {"out", options.out}}
                   : nlohmann::ordered_json{{"quant", ShownQuant(options)}, {"rows", rows}});
}

}  // namespace

void AddVerbalize(Command root, CommonOptions& common) {
  auto options = std::make_shared<VerbalizeArguments>();
  Command command = AddCommand(root, common, "verbalize", "Turn the activations of a file into explanations",
                               "nla verbalize --av demo/pair/av --base DIR --activations acts.npy --layer 20\n"
                               "  nla verbalize --av AV_DIR --activations acts.npy --server http://HOST:30000 "
                               "--out replies.jsonl");
  AddActorOptions(command, options->pair);
  command
      .AddOption("--activations", options->input.path,
                 "raw activations: .parquet, .npy, .npz, .safetensors or .jsonl; - reads .jsonl or .npy from stdin")
      .Required()
      .TypeName("FILE");
  AddActivationOptions(command, options->input);
  command.AddOption("--out", options->out,
                    "write one JSON object a line here; *.parquet: the rows with their explanations");
  command.AddOption("--limit", options->input.limit, "only the first N rows; 0: all").ShowDefault().NotNegative();
  command.AddFlag("--replace", options->replace,
                  "lose what is there: with --out *.parquet that file, with --server what a stopped run has kept");
  AddSamplesOption(command, options->verbalize);
  AddDecodingOptions(command, options->verbalize);
  AddRemoteOptions(command, options->remote);
  AddQuantOption(command, options->quant);
  command.OnRun([options, &common] { Run(*options, common); });
}

}  // namespace nla::cli
