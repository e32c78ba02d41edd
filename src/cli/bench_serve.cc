// `nla bench serve`: explanations of many activations at once, as a server or a rollout writes them, beside llama.cpp.
// Both sides write the same number of tokens after prompts of the same length; llama.cpp knows no injected rows, so
// that each of its prompts is read whole, where ours share what stands before the marker.
#include <fmt/format.h>

#include <memory>
#include <random>

#include "base/clock.h"
#include "cli/bench_engine.h"
#include "cli/bench_llama.h"
#include "cli/bench_rows.h"
#include "cli/model_options.h"
#include "cli/pair_options.h"

namespace nla::cli {
namespace {

struct BenchServeArguments {
  PairArguments pair;
  std::string quant = "none";
  LlamaCppArguments llama;
  int64_t batch = 64;
  int64_t tokens = 45;
  int64_t rounds = 3;
};

std::vector<float> NormalVectors(int64_t count, int64_t width) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count * width));
  for (float& value : values) value = normal(random);
  return values;
}

// Seconds for `batch` explanations that are written together.
double WriteBatch(const Verbalizer& verbalizer, const BenchServeArguments& o) {
  const std::vector<float> vectors = NormalVectors(o.batch, verbalizer.d_model());
  VerbalizeOptions options;
  options.sampling.temperature = 0;
  options.sampling.min_new_tokens = o.tokens;
  options.sampling.max_new_tokens = o.tokens;
  options.slots = o.batch;
  const Clock::time_point begin = Clock::now();
  verbalizer.Run(vectors, options);
  return SecondsSince(begin);
}

void RunBenchServe(const BenchServeArguments& o, const CommonOptions& common) {
  CheckLlamaCpp(o.llama);
  const at::ScalarType compute = SetUpCompute(common);
  const int threads = BenchThreads(common);
  RoleSource actor = LocateActor(o.pair, compute);
  actor.packing = PackingOf(o.quant, compute);
  const Verbalizer verbalizer = Verbalizer::Load(actor);
  const std::vector<float> one = NormalVectors(1, verbalizer.d_model());
  const int64_t prompt_tokens = verbalizer.PromptRows(one).size(0);
  WriteBatch(verbalizer, o);  // not counted
  std::vector<double> ours;
  std::vector<std::vector<double>> peers(o.llama.files.size());
  for (int64_t round = 0; round < o.rounds; ++round) {
    ours.push_back(WriteBatch(verbalizer, o) / static_cast<double>(o.batch) * 1000);
    for (size_t i = 0; i < peers.size(); ++i) {
      const LlamaCppSpeed speed =
          RunLlamaCpp(o.llama.program, o.llama.files[i],
                      {.batch = o.batch, .prompt_tokens = prompt_tokens, .tokens = o.tokens, .threads = threads});
      peers[i].push_back(speed.seconds / static_cast<double>(o.batch) * 1000);
    }
  }
  const std::string name = fmt::format("explanation, {} in flight", o.batch);
  std::vector<BenchRow> rows;
  for (size_t i = 0; i < peers.size(); ++i) {
    rows.push_back({name, Median(ours), Median(peers[i]), LlamaCppName(o.llama.files[i]), "ms"});
  }
  const nlohmann::ordered_json facts = {
      {"milliseconds", Median(ours)},   {"quant", o.quant},  {"rounds", o.rounds}, {"threads", threads},
      {"prompt_tokens", prompt_tokens}, {"tokens", o.tokens}};
  if (rows.empty() && !common.json) fmt::print("{}: {:.1f} ms\n", name, Median(ours));
  PrintBenchRows(rows, common, facts);
}

}  // namespace

void AddBenchServe(Command bench, CommonOptions& common) {
  auto options = std::make_shared<BenchServeArguments>();
  Command command = AddCommand(bench, common, "serve", "Explaining many activations at once, beside llama.cpp",
                               "nla bench serve --pair demo/pair --quant q8");
  AddActorOptions(command, options->pair);
  AddQuantOption(command, options->quant);
  command.AddOption("--batch", options->batch, "explanations in flight").ShowDefault().Positive();
  command.AddOption("--tokens", options->tokens, "length of each").ShowDefault().Positive();
  command.AddOption("--rounds", options->rounds, "times each side runs, in turns").ShowDefault().Positive();
  AddLlamaCppOptions(command, options->llama);
  command.OnRun([options, &common] { RunBenchServe(*options, common); });
}

}  // namespace nla::cli
