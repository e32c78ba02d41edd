// Our side runs in this process, the peer in one of its own, in turns. Loading is not timed on either side, and one
// step goes before the clock starts.
#include "cli/bench_engine.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/fail.h"
#include "cli/bench_llama.h"
#include "cli/bench_rows.h"
#include "cli/model_options.h"
#include "engine/engine.h"
#include "model/language_model.h"

namespace nla::cli {
namespace {

struct BenchEngineArguments {
  std::string model;
  std::string quant = "none";
  std::string python = ".venv/bin/python";
  std::string peers = "bench/peers";
  LlamaCppArguments llama;
  int64_t batch = 32;
  int64_t prompt_tokens = 32;
  int64_t tokens = 64;
  int64_t prompts = 4;
  int64_t rounds = 3;
};

struct EngineSide {
  const LanguageModel& model;
  const BenchEngineArguments& options;
};

// Prompt i; bench/peers/engine_peer.py makes the same. They differ from the first token on, so that nothing is shared.
std::vector<TokenId> PromptIds(int64_t i, int64_t tokens, int64_t vocabulary) {
  std::vector<TokenId> ids(tokens);
  for (int64_t k = 0; k < tokens; ++k) ids[k] = static_cast<TokenId>((i * 7919 + k * 104729 + 11) % vocabulary);
  return ids;
}

EngineRequest Request(const EngineSide& side, int64_t i, int64_t new_tokens) {
  const at::NoGradGuard no_grad;
  const Decoder& decoder = side.model.decoder;
  EngineRequest request{.prompt_TD =
                            decoder.Embed(PromptIds(i, side.options.prompt_tokens, decoder.spec().vocab_size))};
  request.sampling.temperature = 0;
  request.sampling.max_new_tokens = new_tokens;
  return request;
}

// Tokens a second of `batch` replies that are all being written, over `tokens` steps; and each reply's first token.
double Decode(const EngineSide& side, std::vector<TokenId>& first) {
  const BenchEngineArguments& o = side.options;
  // The first replies go on while the last prompts are read, which takes less than a step a reply.
  const int64_t new_tokens = o.tokens + o.batch + 2;
  const int64_t room = (o.prompt_tokens + new_tokens + kPageTokens) * o.batch;
  Engine engine(side.model.decoder, side.model.tokenizer, {.max_running = o.batch, .kv_tokens = room});
  if (o.prompt_tokens + new_tokens > engine.max_tokens()) {
    FailUsage({.where = "--prompt-tokens, --tokens and --batch",
               .what = "more than the model can read and write",
               .found = std::to_string(o.prompt_tokens + new_tokens),
               .wanted = fmt::format("at most {} together", engine.max_tokens())});
  }
  first.assign(o.batch, -1);
  int64_t begun = 0;
  int64_t written = 0;
  for (int64_t i = 0; i < o.batch; ++i) {
    engine.Submit(Request(side, i, new_tokens), [&, i](RequestId, const EngineEvent& event) {
      if (event.id < 0) return;
      ++written;
      if (first[i] >= 0) return;
      first[i] = event.id;
      ++begun;
    });
  }
  while (begun < o.batch) engine.Step();
  engine.Step();
  written = 0;
  const Clock::time_point start = Clock::now();
  for (int64_t step = 0; step < o.tokens; ++step) engine.Step();
  const double seconds = SecondsSince(start);
  const int64_t counted = written;
  engine.AbortAll("");
  NLA_CHECK(counted == o.tokens * o.batch);
  return static_cast<double>(counted) / seconds;
}

// Prompt tokens a second, from a prompt's entry to its first token, one prompt after another.
double Prefill(const EngineSide& side, std::vector<TokenId>& first) {
  const BenchEngineArguments& o = side.options;
  Engine engine(side.model.decoder, side.model.tokenizer, {.max_running = 1});
  first.clear();
  double seconds = 0;
  for (int64_t i = -1; i < o.prompts; ++i) {  // the first is not counted
    EngineRequest request = Request(side, i + 1, 1);
    const Clock::time_point start = Clock::now();
    engine.Submit(std::move(request), [&](RequestId, const EngineEvent& event) {
      if (i >= 0) first.push_back(event.id);
    });
    while (engine.Step()) {
    }
    if (i >= 0) seconds += SecondsSince(start);
  }
  return static_cast<double>(o.prompts * o.prompt_tokens) / seconds;
}

// In fp32 without quantisation both sides choose the same tokens. The prompts are noise, whose logits may lie near each
// other: a few may differ.
void RequireAlike(const std::vector<TokenId>& ours, const std::vector<TokenId>& peers, const std::string& where) {
  size_t same = 0;
  for (size_t i = 0; i < std::min(ours.size(), peers.size()); ++i) same += ours[i] == peers[i] ? 1 : 0;
  if (ours.size() == peers.size() && same * 10 >= ours.size() * 9) return;
  Fail({.where = where,
        .what = "the two sides do not choose the same tokens",
        .found = fmt::format("{} of {} equal", same, ours.size())});
}

LlamaCppLoad LlamaLoad(const BenchEngineArguments& o, const std::string& mode, int threads) {
  if (mode == "prefill") return {.batch = 1, .prompt_tokens = o.prompt_tokens, .tokens = 1, .threads = threads};
  return {.batch = o.batch, .prompt_tokens = o.prompt_tokens, .tokens = o.tokens, .threads = threads};
}

using Measuring = double (*)(const EngineSide&, std::vector<TokenId>&);

void RunRounds(const std::string& mode, const BenchEngineArguments& o, const CommonOptions& common,
               Measuring measuring) {
  CheckLlamaCpp(o.llama);
  const at::ScalarType compute = SetUpCompute(common);
  const std::string dtype = compute == at::kFloat ? "fp32" : "bf16";
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  const int threads = common.threads > 0 ? common.threads : cores;
  const LanguageModel model =
      LanguageModel::Load(o.model, {.compute = compute, .packing = PackingOf(o.quant, compute)});
  const std::vector<std::string> peer = {o.python,
                                         o.peers + "/engine_peer.py",
                                         mode,
                                         "--model",
                                         o.model,
                                         "--batch",
                                         std::to_string(o.batch),
                                         "--prompt-tokens",
                                         std::to_string(o.prompt_tokens),
                                         "--tokens",
                                         std::to_string(o.tokens),
                                         "--prompts",
                                         std::to_string(o.prompts),
                                         "--threads",
                                         std::to_string(threads),
                                         "--dtype",
                                         dtype};
  std::vector<double> ours, theirs;
  std::vector<std::vector<double>> llama(o.llama.files.size());
  for (int64_t round = 0; round < o.rounds; ++round) {
    std::vector<TokenId> first;
    ours.push_back(measuring({model, o}, first));
    const BenchRun run = RunBenchCommand(peer);
    theirs.push_back(BenchNumber(run, "tokens_per_second"));
    if (dtype == "fp32" && o.quant == "none") {
      RequireAlike(first, run.document.value("first", std::vector<TokenId>()), o.model);
    }
    for (size_t i = 0; i < llama.size(); ++i) {
      const LlamaCppSpeed speed = RunLlamaCpp(o.llama.program, o.llama.files[i], LlamaLoad(o, mode, threads));
      llama[i].push_back(mode == "decode" ? speed.tokens_per_second : speed.prompt_tokens_per_second);
    }
    if (!common.json) fmt::print("round {}: {:.1f} beside {:.1f} tokens/s\n", round + 1, ours.back(), theirs.back());
  }
  const std::string name = mode == "decode" ? fmt::format("decode, {} in flight", o.batch)
                                            : fmt::format("prefill, {} tokens", o.prompt_tokens);
  std::vector<BenchRow> rows = {{name, Median(ours), Median(theirs), "transformers, " + dtype, "tokens/s"}};
  for (size_t i = 0; i < llama.size(); ++i) {
    rows.push_back({name, Median(ours), Median(llama[i]), LlamaCppName(o.llama.files[i]), "tokens/s"});
  }
  PrintBenchRows(rows, common,
                 {{"dtype", dtype},
                  {"quant", o.quant},
                  {"rounds", o.rounds},
                  {"threads", threads},
                  {"prompt_tokens", o.prompt_tokens}});
}

std::shared_ptr<BenchEngineArguments> AddEngineBenchmark(Command command, int64_t prompt_tokens) {
  auto options = std::make_shared<BenchEngineArguments>();
  options->prompt_tokens = prompt_tokens;
  AcceptHubName(command.AddOption("--model", options->model, "checkpoint directory").Required());
  command.AddOption("--prompt-tokens", options->prompt_tokens, "length of each prompt").ShowDefault().Positive();
  AddQuantOption(command, options->quant);
  AddPeerOptions(command, options->rounds, options->python, options->peers);
  AddLlamaCppOptions(command, options->llama);
  return options;
}

}  // namespace

void AddBenchDecode(Command bench, CommonOptions& common) {
  Command command =
      AddCommand(bench, common, "decode", "Writing many replies at once, beside transformers and llama.cpp",
                 "nla bench decode --model DIR --batch 32 --quant q8");
  const std::shared_ptr<BenchEngineArguments> options = AddEngineBenchmark(command, 32);
  command.AddOption("--batch", options->batch, "replies in flight").ShowDefault().Positive();
  command.AddOption("--tokens", options->tokens, "timed tokens of each").ShowDefault().Positive();
  command.OnRun([=, &common] { RunRounds("decode", *options, common, &Decode); });
}

void AddBenchPrefill(Command bench, CommonOptions& common) {
  Command command =
      AddCommand(bench, common, "prefill", "Reading prompts to their first token, beside transformers and llama.cpp",
                 "nla bench prefill --model DIR --prompt-tokens 512 --quant q8");
  const std::shared_ptr<BenchEngineArguments> options = AddEngineBenchmark(command, 512);
  command.AddOption("--prompts", options->prompts, "timed prompts, one after another").ShowDefault().Positive();
  command.OnRun([=, &common] { RunRounds("prefill", *options, common, &Prefill); });
}

}  // namespace nla::cli
