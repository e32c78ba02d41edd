// Both sides run as processes of their own, in turns, after one uncounted run each that brings the files into the page
// cache. What is timed is what a user waits for: start, tokenizer, weights, the prompt, one greedy token.
#include "cli/bench_load.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/fail.h"
#include "base/subprocess.h"
#include "cli/bench_rows.h"
#include "cli/model_options.h"

namespace nla::cli {
namespace {

struct BenchLoadArguments {
  std::vector<std::string> models;
  std::string prompt = "The train was late again, so we";
  std::string python = ".venv/bin/python";
  std::string peers = "bench/peers";
  int64_t rounds = 5;
};

struct Commands {
  std::vector<std::string> ours, peer;
};

Commands FirstTokenCommands(const BenchLoadArguments& options, const std::string& model, const std::string& threads,
                            const std::string& dtype) {
  return {.ours = {ThisProgram(), "generate", "--model", model, "--raw", options.prompt, "--max-new-tokens", "1",
                   "--temperature", "0", "--threads", threads, "--dtype", dtype, "--json"},
          .peer = {options.python, options.peers + "/load_peer.py", "--model", model, "--prompt", options.prompt,
                   "--threads", threads, "--dtype", dtype}};
}

// In fp32 the greedy token is the same on both sides; bf16 may round two near logits apart.
void RequireSameToken(const std::string& model, const BenchRun& ours, const BenchRun& peer) {
  if (ours.document.value("ids", nlohmann::ordered_json()) == peer.document.value("ids", nlohmann::ordered_json())) {
    return;
  }
  Fail({.where = model,
        .what = "the two sides do not choose the same first token",
        .found = ours.document.dump(),
        .wanted = peer.document.dump()});
}

void BenchOne(const BenchLoadArguments& options, const std::string& model, const std::string& threads,
              const std::string& dtype, std::vector<BenchRow>& rows) {
  const Commands commands = FirstTokenCommands(options, model, threads, dtype);
  const BenchRun our_first = RunBenchCommand(commands.ours);
  const BenchRun peer_first = RunBenchCommand(commands.peer);
  if (dtype == "fp32") RequireSameToken(model, our_first, peer_first);
  std::vector<double> ours, peer, peer_imported, our_memory, peer_memory;
  for (int64_t round = 0; round < options.rounds; ++round) {
    const BenchRun a = RunBenchCommand(commands.ours);
    const BenchRun b = RunBenchCommand(commands.peer);
    ours.push_back(1e3 * a.seconds);
    peer.push_back(1e3 * b.seconds);
    peer_imported.push_back(1e3 * BenchNumber(b, "seconds_after_imports"));
    our_memory.push_back(a.peak_rss_mb);
    peer_memory.push_back(b.peak_rss_mb);
  }
  const std::string name = "load " + std::filesystem::canonical(model).filename().string();
  const std::string peer_name = "transformers, " + dtype;
  rows.push_back({name, Median(ours), Median(peer), peer_name, "ms"});
  rows.push_back({name + ", imports not counted", Median(ours), Median(peer_imported), peer_name, "ms"});
  rows.push_back({name + ", peak memory", Median(our_memory), Median(peer_memory), peer_name, "MB"});
}

}  // namespace

void AddBenchLoad(Command bench, CommonOptions& common) {
  auto options = std::make_shared<BenchLoadArguments>();
  Command command =
      AddCommand(bench, common, "load", "Time from the start of a process to a first token, beside transformers",
                 "nla bench load --model DIR");
  AcceptHubName(
      command.AddOption("--model", options->models, "checkpoint directory; several are timed one by one").Required());
  command.AddOption("--prompt", options->prompt, "text whose next token both sides find").ShowDefault();
  AddPeerOptions(command, options->rounds, options->python, options->peers);
  command.OnRun([=, &common] {
    const std::string dtype = SetUpCompute(common) == at::kFloat ? "fp32" : "bf16";
    const int threads = BenchThreads(common);
    std::vector<BenchRow> rows;
    for (const std::string& model : options->models) {
      BenchOne(*options, model, std::to_string(threads), dtype, rows);
    }
    PrintBenchRows(rows, common, {{"dtype", dtype}, {"rounds", options->rounds}, {"threads", threads}});
  });
}

}  // namespace nla::cli
