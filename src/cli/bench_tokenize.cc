// Ours runs in this process, the library in a Python one, in turns. Both encode the whole corpus once before the clock
// starts, and both must find the same number of ids.
#include "cli/bench_tokenize.h"

#include <fmt/format.h>

#include <fstream>
#include <memory>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "cli/bench_rows.h"
#include "text/tokenizer.h"

namespace nla::cli {
namespace {

struct BenchTokenizeArguments {
  std::vector<std::string> models;
  std::string corpus;
  std::string python = ".venv/bin/python";
  std::string peers = "bench/peers";
  int64_t documents = 1000;
  int64_t rounds = 3;
};

struct Corpus {
  std::vector<std::string> texts;
  double megabytes = 0;
};

Corpus ReadTexts(const BenchTokenizeArguments& options) {
  std::ifstream lines(options.corpus);
  if (!lines) Fail({.where = options.corpus, .what = "cannot be read", .mend = "Check that the file exists"});
  Corpus corpus;
  std::string line;
  while (static_cast<int64_t>(corpus.texts.size()) < options.documents && std::getline(lines, line)) {
    const nlohmann::json row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("text") || !row["text"].is_string()) {
      Fail({.where = fmt::format("{}:{}", options.corpus, corpus.texts.size() + 1),
            .what = "not a document",
            .found = line.substr(0, 80),
            .wanted = "{\"text\": \"...\"} on each line"});
    }
    corpus.texts.push_back(row["text"].get<std::string>());
    corpus.megabytes += static_cast<double>(corpus.texts.back().size()) / 1e6;
  }
  if (corpus.texts.empty()) Fail({.where = options.corpus, .what = "no documents in it"});
  return corpus;
}

struct Rates {
  std::vector<double> ids, offsets;  // MB/s of each round
};

size_t EncodeAll(const Tokenizer& tokenizer, const Corpus& corpus, bool offsets) {
  size_t ids = 0;
  for (const std::string& text : corpus.texts) {
    ids += offsets ? tokenizer.EncodeWithOffsets(text).ids.size() : tokenizer.Encode(text).size();
  }
  return ids;
}

double TimedRate(const Tokenizer& tokenizer, const Corpus& corpus, bool offsets) {
  const Clock::time_point begun = Clock::now();
  EncodeAll(tokenizer, corpus, offsets);
  return corpus.megabytes / SecondsSince(begun);
}

void BenchOne(const BenchTokenizeArguments& options, const std::string& model, const Corpus& corpus,
              std::vector<BenchRow>& rows) {
  const Tokenizer tokenizer = Tokenizer::Load(model);
  const std::vector<std::string> command = {
      options.python, options.peers + "/tokenize_peer.py", "--model", model, "--corpus", options.corpus,
      "--documents",  std::to_string(options.documents)};
  const auto tokens = static_cast<double>(EncodeAll(tokenizer, corpus, true));
  Rates ours, peer;
  for (int64_t round = 0; round < options.rounds; ++round) {
    ours.ids.push_back(TimedRate(tokenizer, corpus, false));
    ours.offsets.push_back(TimedRate(tokenizer, corpus, true));
    const BenchRun run = RunBenchCommand(command);
    peer.ids.push_back(BenchNumber(run, "ids_mb_per_second"));
    peer.offsets.push_back(BenchNumber(run, "offsets_mb_per_second"));
    if (BenchNumber(run, "tokens") != tokens) {
      Fail({.where = model,
            .what = "the two sides do not encode the same",
            .found = fmt::format("{} tokens", tokens),
            .wanted = fmt::format("{} as the library", BenchNumber(run, "tokens"))});
    }
  }
  const fs::path directory = fs::is_directory(model) ? fs::path(model) : fs::path(model).parent_path();
  const std::string name = "tokenize " + fs::canonical(directory).filename().string();
  rows.push_back({name, Median(ours.ids), Median(peer.ids), "tokenizers, encode_batch_fast", "MB/s"});
  rows.push_back({name + ", offsets", Median(ours.offsets), Median(peer.offsets), "tokenizers, encode_batch", "MB/s"});
}

}  // namespace

void AddBenchTokenize(Command bench, CommonOptions& common) {
  auto options = std::make_shared<BenchTokenizeArguments>();
  Command command = AddCommand(bench, common, "tokenize", "Encoding beside the tokenizers library, one thread each",
                               "nla bench tokenize --model DIR --corpus texts.jsonl");
  AcceptHubName(
      command.AddOption("--model", options->models, "directory with tokenizer.json; several are timed one by one")
          .Required());
  command.AddOption("--corpus", options->corpus, "documents that both sides encode (.jsonl)").Required();
  command.AddOption("--documents", options->documents, "at most so many of them").ShowDefault().Positive();
  AddPeerOptions(command, options->rounds, options->python, options->peers);
  command.OnRun([=, &common] {
    const Corpus corpus = ReadTexts(*options);
    std::vector<BenchRow> rows;
    for (const std::string& model : options->models) BenchOne(*options, model, corpus, rows);
    PrintBenchRows(rows, common, {{"rounds", options->rounds}, {"threads", 1}, {"megabytes", corpus.megabytes}});
  });
}

}  // namespace nla::cli
