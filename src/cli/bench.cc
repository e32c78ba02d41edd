// `nla bench`: the named speed comparisons, this program beside a Python peer, in turns, in one run on one machine.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/fail.h"
#include "base/file.h"
#include "base/subprocess.h"
#include "cli/bench_embeds.h"
#include "cli/bench_engine.h"
#include "cli/bench_load.h"
#include "cli/bench_rows.h"
#include "cli/bench_tokenize.h"
#include "cli/commands.h"
#include "cli/model_options.h"

namespace nla::cli {
namespace {

struct BenchArguments {
  std::string model;
  std::string corpus;
  std::string dataset;
  std::string pair;
  std::string python = ".venv/bin/python";
  std::string peers = "bench/peers";
  int64_t layer = 20;
  int64_t documents = 64;
  int64_t steps = 4;
  int64_t lora = 0;
  int64_t prompts = 16;
  int64_t rounds = 3;
};

struct Measurement {
  double rate = 0;  // in the benchmark's unit
  double peak_rss_mb = 0;
};

// A folder that goes away with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (fs::temp_directory_path() / "nla-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) Fail({.where = pattern, .what = "no scratch folder"});
    path_ = pattern;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Comparison {
  std::string unit;      // "tokens/s"
  std::string rate_key;  // in the JSON of both sides
  std::string peer_name;
  std::vector<std::string> ours, peer;  // command lines
};

Measurement Measure(const std::vector<std::string>& command, const std::string& rate_key) {
  const BenchRun run = RunBenchCommand(command);
  return {BenchNumber(run, rate_key), run.peak_rss_mb};
}

Comparison ExtractComparison(const BenchArguments& o, const std::string& threads, const std::string& dtype,
                             const fs::path& scratch) {
  const std::string documents = std::to_string(o.documents);
  const std::string layer = std::to_string(o.layer);
  return {.unit = "tokens/s",
          .rate_key = "tokens_per_second",
          .peer_name = "transformers, whole model with head and a forward hook",
          .ours = {ThisProgram(), "extract",   "--model",
                   o.model,       "--corpus",  o.corpus,
                   "--layer",     layer,       "--corpus-length",
                   documents,     "--out",     (scratch / "base.parquet").string(),
                   "--replace",   "--threads", threads,
                   "--dtype",     dtype,       "--log-level",
                   "warn",        "--json"},
          .peer = {o.python, o.peers + "/extract_peer.py", "--model", o.model, "--corpus", o.corpus, "--layer", layer,
                   "--limit-docs", documents, "--threads", threads, "--dtype", dtype}};
}

Comparison TrainComparison(const BenchArguments& o, const std::string& threads, const std::string& dtype,
                           const fs::path& scratch) {
  const std::string steps = std::to_string(o.steps);
  const fs::path recipe = scratch / "recipe.yaml";
  WriteFileAtomically(
      recipe,
      fmt::format("train_av:\n  base_model: {}\n  dataset: {}\n  out: {}\n  batch_size: 32\n"
                  "  steps: {}\n  lr: 1.0e-4\n  lora: {{rank: {}, alpha: {}}}\n  eval_every: 0\n"
                  "  save_every: 0\n",
                  o.model, o.dataset, (scratch / "run").string(), steps, o.lora, std::max<int64_t>(1, 2 * o.lora)));
  Comparison comparison{.unit = "samples/s",
                        .rate_key = "samples_per_second",
                        .peer_name = o.lora > 0 ? "transformers + PEFT" : "transformers, full fine-tuning",
                        .ours = {ThisProgram(), "train", "av", recipe.string(), "--replace", "--threads", threads,
                                 "--dtype", dtype, "--log-level", "warn", "--json"},
                        .peer = {o.python, o.peers + "/train_av_peer.py", "--model", o.model, "--dataset", o.dataset,
                                 "--threads", threads, "--steps", steps, "--dtype", dtype}};
  if (o.lora > 0) comparison.peer.insert(comparison.peer.end(), {"--lora", std::to_string(o.lora)});
  return comparison;
}

Comparison RlComparison(const BenchArguments& o, const std::string& threads, const std::string& dtype,
                        const fs::path& scratch) {
  const std::string steps = std::to_string(o.steps);
  const std::string prompts = std::to_string(o.prompts);
  const fs::path recipe = scratch / "recipe.yaml";
  WriteFileAtomically(recipe,
                      fmt::format("train_rl:\n  pair: {}\n  base_model: {}\n  dataset: {}\n  out: {}\n  steps: {}\n"
                                  "  prompts: {}\n  samples: 8\n  max_new_tokens: 80\n  preflight: false\n"
                                  "  eval_every: 0\n  save_every: 0\n  rollouts_every: 0\n",
                                  o.pair, o.model, o.dataset, (scratch / "run").string(), steps, prompts));
  return {.unit = "samples/s",
          .rate_key = "samples_per_second",
          .peer_name = "transformers + PEFT",
          .ours = {ThisProgram(), "train", "rl", recipe.string(), "--replace", "--threads", threads, "--dtype", dtype,
                   "--log-level", "warn", "--json"},
          .peer = {o.python, o.peers + "/rl_peer.py", "--model", o.model, "--pair", o.pair, "--dataset", o.dataset,
                   "--threads", threads, "--steps", steps, "--prompts", prompts, "--dtype", dtype}};
}

// Ours and the peer in turns; medians, and the ratio of medians.
void RunComparison(const std::string& name, const Comparison& comparison, const BenchArguments& options,
                   const CommonOptions& common, const std::string& dtype) {
  std::vector<double> ours, peer, our_memory, peer_memory;
  for (int64_t round = 0; round < options.rounds; ++round) {
    const Measurement a = Measure(comparison.ours, comparison.rate_key);
    const Measurement b = Measure(comparison.peer, comparison.rate_key);
    ours.push_back(a.rate);
    peer.push_back(b.rate);
    our_memory.push_back(a.peak_rss_mb);
    peer_memory.push_back(b.peak_rss_mb);
    if (!common.json) fmt::print("round {}: {:.1f} beside {:.1f} {}\n", round + 1, a.rate, b.rate, comparison.unit);
  }
  const std::string peer_name = fmt::format("{}, {}", comparison.peer_name, dtype);
  PrintBenchRows({{name, Median(ours), Median(peer), peer_name, comparison.unit},
                  {name + " peak memory", Median(our_memory), Median(peer_memory), peer_name, "MB"}},
                 common, {{"dtype", dtype}, {"rounds", options.rounds}});
}

using MakeComparison = Comparison (*)(const BenchArguments&, const std::string&, const std::string&, const fs::path&);

struct Benchmark {
  std::string name, summary, example;
  MakeComparison make;
  void (*add_options)(Command, BenchArguments&);
};

void AddExtractOptions(Command command, BenchArguments& options) {
  command.AddOption("--corpus", options.corpus, "documents that both sides read (.jsonl)").Required();
  command.AddOption("--layer", options.layer, "K").ShowDefault();
  command.AddOption("--documents", options.documents, "how many of them").ShowDefault();
}

void AddTrainOptions(Command command, BenchArguments& options) {
  command.AddOption("--dataset", options.dataset, "av_sft rows that both sides train on").Required();
  command.AddOption("--steps", options.steps, "timed steps of 32 rows").ShowDefault();
  command.AddOption("--lora", options.lora, "rank of adapters; 0: full fine-tuning").ShowDefault();
}

void AddRlOptions(Command command, BenchArguments& options) {
  command.AddOption("--pair", options.pair, "pair of adapters that both sides train").Required();
  command.AddOption("--dataset", options.dataset, "rl rows that both sides train on").Required();
  command.AddOption("--prompts", options.prompts, "activations a step, with 8 replies each").ShowDefault();
  command.AddOption("--steps", options.steps, "timed steps").ShowDefault();
}

void AddBenchmark(Command bench, CommonOptions& common, const Benchmark& benchmark) {
  auto options = std::make_shared<BenchArguments>();
  Command command = AddCommand(bench, common, benchmark.name, benchmark.summary, benchmark.example);
  AcceptHubName(command.AddOption("--model", options->model, "base model's directory").Required());
  benchmark.add_options(command, *options);
  AddPeerOptions(command, options->rounds, options->python, options->peers);
  command.OnRun([options, benchmark, &common] {
    const std::string dtype = SetUpCompute(common) == at::kFloat ? "fp32" : "bf16";
    const std::string threads = std::to_string(BenchThreads(common));
    const ScratchFolder scratch;
    RunComparison(benchmark.name, benchmark.make(*options, threads, dtype, scratch.path()), *options, common, dtype);
  });
}

}  // namespace

void AddBench(Command root, CommonOptions& common) {
  Command bench = root.AddSubcommand("bench", "Time this program beside its peers on the same machine");
  bench.RequireSubcommand();
  AddBenchmark(bench, common,
               {.name = "extract",
                .summary = "Extraction beside transformers with a hook",
                .example = "nla bench extract --model DIR --corpus texts.jsonl",
                .make = ExtractComparison,
                .add_options = AddExtractOptions});
  AddBenchDecode(bench, common);
  AddBenchPrefill(bench, common);
  AddBenchServe(bench, common);
  AddBenchEmbeds(bench, common);
  AddBenchLoad(bench, common);
  AddBenchTokenize(bench, common);
  AddBenchmark(bench, common,
               {.name = "train-av",
                .summary = "Verbalizer training beside transformers",
                .example = "nla bench train-av --model DIR --dataset av_sft.parquet",
                .make = TrainComparison,
                .add_options = AddTrainOptions});
  AddBenchmark(bench, common,
               {.name = "rl",
                .summary = "A step of reinforcement learning beside transformers and PEFT",
                .example = "nla bench rl --model DIR --pair demo/pair --dataset rl.parquet",
                .make = RlComparison,
                .add_options = AddRlOptions});
}

}  // namespace nla::cli
