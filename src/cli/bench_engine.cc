// Our side runs in this process, the peer in one of its own, in turns. Loading is not timed on either side, and one
// step goes before the clock starts.
#include "cli/bench_engine.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

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

// Bytes of weights that every step of decoding reads.
double BytesOfAStep(const ModelSpec& spec, const std::string& quant, at::ScalarType compute) {
  double numbers = static_cast<double>(spec.vocab_size * spec.d_model);  // the head, tied or not
  for (int linear = 0; linear < kLinearsPerBlock; ++linear) {
    const auto [out, in] = LinearShape(spec, linear);
    numbers += static_cast<double>(out * in * spec.n_blocks);
  }
  return numbers * (quant == "q8" ? 1 : compute == at::kFloat ? 4 : 2);
}

// Bytes a second that all threads together read from memory.
double MemorySpeed() {
  constexpr int64_t kNumbers = int64_t{1} << 28;  // 1 GiB, far more than any cache
  constexpr int kTries = 3;
  const at::Tensor numbers = at::ones({kNumbers}, at::kFloat);
  double best = std::numeric_limits<double>::max();
  for (int i = 0; i < kTries; ++i) {
    const Clock::time_point begin = Clock::now();
    NLA_CHECK(at::sum(numbers).item<float>() > 0);
    best = std::min(best, SecondsSince(begin));
  }
  return static_cast<double>(kNumbers * sizeof(float)) / best;
}

using Measuring = double (*)(const EngineSide&, std::vector<TokenId>&);

// One of the two benchmarks.
struct EngineBenchmark {
  std::string mode;  // "decode" or "prefill", as the peer calls it
  Measuring measure;
  std::string NameFor(const BenchEngineArguments& o) const {
    return mode == "decode" ? fmt::format("decode, {} in flight", o.batch)
                            : fmt::format("prefill, {} tokens", o.prompt_tokens);
  }
};

// Another program on the same work: tokens a second, given our sequences' first tokens.
struct EnginePeer {
  std::string name;
  std::function<double(const std::vector<TokenId>& first)> measure;
  std::vector<double> speeds = {};
};

EnginePeer TransformersPeer(const EngineBenchmark& benchmark, const BenchEngineArguments& o, const std::string& dtype,
                            int threads) {
  const std::vector<std::string> command = {o.python,
                                            o.peers + "/engine_peer.py",
                                            benchmark.mode,
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
  const auto measure = [command, &o, dtype](const std::vector<TokenId>& first) {
    const BenchRun run = RunBenchCommand(command);
    if (dtype == "fp32" && o.quant == "none") {
      RequireAlike(first, run.document.value("first", std::vector<TokenId>()), o.model);
    }
    return BenchNumber(run, "tokens_per_second");
  };
  return {"transformers, " + dtype, measure};
}

EnginePeer LlamaCppPeer(const EngineBenchmark& benchmark, const BenchEngineArguments& o, const std::string& gguf,
                        int threads) {
  const bool decode = benchmark.mode == "decode";
  const LlamaCppLoad load{.batch = decode ? o.batch : 1,
                          .prompt_tokens = o.prompt_tokens,
                          .tokens = decode ? o.tokens : 1,
                          .threads = threads};
  const auto measure = [program = o.llama.program, gguf, load, decode](const std::vector<TokenId>& /*first*/) {
    const LlamaCppSpeed speed = RunLlamaCpp(program, gguf, load);
    return decode ? speed.tokens_per_second : speed.prompt_tokens_per_second;
  };
  return {LlamaCppName(gguf), measure};
}

std::vector<EnginePeer> PeersOf(const EngineBenchmark& benchmark, const BenchEngineArguments& o,
                                const std::string& dtype, int threads) {
  std::vector<EnginePeer> peers;
  if (!o.python.empty()) peers.push_back(TransformersPeer(benchmark, o, dtype, threads));
  for (const std::string& gguf : o.llama.files) peers.push_back(LlamaCppPeer(benchmark, o, gguf, threads));
  return peers;
}

void RunRounds(const EngineBenchmark& benchmark, const BenchEngineArguments& o, const CommonOptions& common) {
  CheckLlamaCpp(o.llama);
  const at::ScalarType compute = SetUpCompute(common);
  const std::string dtype = compute == at::kFloat ? "fp32" : "bf16";
  const int threads = BenchThreads(common);
  const LanguageModel model =
      LanguageModel::Load(o.model, {.compute = compute, .packing = PackingOf(o.quant, compute)});
  std::vector<EnginePeer> peers = PeersOf(benchmark, o, dtype, threads);
  std::vector<double> ours;
  for (int64_t round = 0; round < o.rounds; ++round) {
    std::vector<TokenId> first;
    ours.push_back(benchmark.measure({model, o}, first));
    for (EnginePeer& peer : peers) peer.speeds.push_back(peer.measure(first));
    if (!common.json) fmt::print("round {}: {:.1f} tokens/s\n", round + 1, ours.back());
  }
  const double speed = Median(ours);
  std::vector<BenchRow> rows;
  rows.reserve(peers.size());
  for (const EnginePeer& peer : peers) {
    rows.push_back({benchmark.NameFor(o), speed, Median(peer.speeds), peer.name, "tokens/s"});
  }
  nlohmann::ordered_json facts = {{"tokens_per_second", speed}, {"dtype", dtype},
                                  {"quant", o.quant},           {"rounds", o.rounds},
                                  {"threads", threads},         {"prompt_tokens", o.prompt_tokens}};
  if (benchmark.mode == "decode") {
    const double steps = speed / static_cast<double>(o.batch);  // a second
    const double read = BytesOfAStep(model.decoder.spec(), o.quant, compute) * steps / 1e9;
    const double memory = MemorySpeed() / 1e9;
    facts["weights_gb_per_second"] = read;
    facts["memory_gb_per_second"] = memory;
    if (!common.json) fmt::print("weights are read at {:.1f} GB/s, memory at {:.1f} GB/s\n", read, memory);
  }
  PrintBenchRows(rows, common, facts);
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
  command.OnRun([=, &common] { RunRounds({"decode", &Decode}, *options, common); });
}

void AddBenchPrefill(Command bench, CommonOptions& common) {
  Command command =
      AddCommand(bench, common, "prefill", "Reading prompts to their first token, beside transformers and llama.cpp",
                 "nla bench prefill --model DIR --prompt-tokens 512 --quant q8");
  const std::shared_ptr<BenchEngineArguments> options = AddEngineBenchmark(command, 512);
  command.AddOption("--prompts", options->prompts, "timed prompts, one after another").ShowDefault().Positive();
  command.OnRun([=, &common] { RunRounds({"prefill", &Prefill}, *options, common); });
}

}  // namespace nla::cli
