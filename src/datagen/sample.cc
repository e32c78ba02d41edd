// Sampling of a corpus: prompts through the chat format, texts appended to a partial file and put in order at the end.
#include "datagen/sample.h"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"
#include "engine/run_requests.h"

namespace nla {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::vector<std::string> ReadPrompts(const fs::path& path, int64_t limit) {
  std::ifstream in(path);
  if (!in) Fail({.where = path.string(), .what = "cannot be read"});
  std::vector<std::string> prompts;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const json value = json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("prompt") || !value["prompt"].is_string()) {
      Fail({.where = fmt::format("{}:{}", path.string(), number),
            .what = "not a prompt",
            .wanted = "{\"prompt\": \"…\"}"});
    }
    prompts.push_back(value["prompt"]);
    if (limit > 0 && static_cast<int64_t>(prompts.size()) == limit) break;
  }
  if (prompts.empty()) Fail({.where = path.string(), .what = "holds no prompts"});
  return prompts;
}

// The texts that are done, in a file that grows by one line a text: first what the texts depend on, then the texts.
class Partial {
 public:
  // Takes up what an earlier run finished; a torn line is made again. Refuses another run's work.
  Partial(fs::path path, const std::string& run_key, const std::vector<std::string>& prompts) : path_(std::move(path)) {
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) Take(ordered_json::parse(line, nullptr, false), run_key, prompts);
    if (path_.has_parent_path()) fs::create_directories(path_.parent_path());
    log_.open(path_, std::ios::app);
    // A line of its own also after a torn one.
    Write(ordered_json{{"run_key", run_key}});
  }

  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;
  // A run that finished no text leaves no file.
  ~Partial() {
    std::error_code ignored;
    if (done_.empty()) fs::remove(path_, ignored);
  }

  const std::map<int64_t, ordered_json>& done() const { return done_; }
  void Add(int64_t index, ordered_json line) {
    Write(line);
    done_[index] = std::move(line);
  }

 private:
  void Take(ordered_json value, const std::string& run_key, const std::vector<std::string>& prompts) {
    if (!value.is_object()) return;
    if (value.value("run_key", ordered_json(run_key)) != run_key) {
      Fail({.where = path_.string(),
            .what = "holds the unfinished work of another run (other model or other options)",
            .mend = "Give the options of that run to finish it, or delete the file"});
    }
    const ordered_json index = value.value("index", ordered_json());
    if (!index.is_number_unsigned() || index.get<uint64_t>() >= prompts.size()) return;
    if (value.value("prompt", ordered_json()) != prompts[index] || !value.value("text", ordered_json()).is_string())
      return;
    done_[index] = std::move(value);
  }
  void Write(const ordered_json& line) {
    log_ << "\n" << line.dump() << "\n" << std::flush;
    if (!log_) Fail({.where = path_.string(), .what = "cannot be written", .mend = "Free disk space and run again"});
  }

  fs::path path_;
  std::ofstream log_;
  std::map<int64_t, ordered_json> done_;
};

std::string RunKeyOf(const LanguageModel& model, const SampleOptions& options) {
  const SamplingOptions& s = options.sampling;
  const std::string day = model.chat.uses_date() ? fmt::format("date {}\n", model.chat.date()) : "";
  return Sha256Hex(fmt::format("sample\n{}\n{} {}\n{} {} {} {}\nseed {}\n{}",
                               Checkpoint::Open(model.directory).WeightsHash(), model.tokenizer.hash(),
                               model.decoder.compute() == at::kFloat ? "fp32" : "bf16", s.temperature, s.top_p, s.top_k,
                               s.max_new_tokens, options.seed, day));
}

void WriteInOrder(const fs::path& out, const std::map<int64_t, ordered_json>& done) {
  AtomicFile file(out);
  for (const auto& [index, value] : done) {
    const ordered_json line = {{"text", value["text"]}, {"prompt", value["prompt"]}};
    file.Write(line.dump() + "\n");
  }
  file.Commit();
}

}  // namespace

SampleReport SampleCorpus(const LanguageModel& model, const SampleOptions& options) {
  if (!options.replace && fs::exists(options.out)) {
    FailUsage({.where = options.out.string(),
               .what = "exists already",
               .mend = "Name another output, or pass --replace to lose what is there"});
  }
  const std::vector<std::string> prompts = ReadPrompts(options.prompts, options.limit);
  fs::path partial_path = options.out;
  partial_path += ".partial";
  Partial partial(partial_path, RunKeyOf(model, options), prompts);
  std::vector<int64_t> open;
  for (int64_t i = 0; i < static_cast<int64_t>(prompts.size()); ++i) {
    if (!partial.done().contains(i)) open.push_back(i);
  }
  SamplingOptions sampling = options.sampling;
  for (const TokenId id : model.chat.StopIds(model.tokenizer)) sampling.stop_ids.push_back(id);
  Engine engine(model.decoder, model.tokenizer, {.max_running = options.slots});
  Progress progress("sample", "texts", static_cast<int64_t>(prompts.size()));
  progress.StartAt(static_cast<int64_t>(partial.done().size()));
  SampleReport report;
  RunRequests(
      engine, static_cast<int64_t>(open.size()),
      [&](int64_t i) {
        const std::vector<ChatMessage> messages = {{"user", prompts[open[i]]}};
        const std::vector<TokenId> ids = model.chat.Encode(model.tokenizer, messages, true);
        return EngineRequest{.prompt_TD = model.decoder.Embed(ids),
                             .sampling = sampling,
                             .seed = options.seed * 1000003 + static_cast<uint64_t>(open[i])};
      },
      [&](int64_t i, const Reply& result) {
        ordered_json line = {{"index", open[i]}, {"prompt", prompts[open[i]]}};
        line["text"] = model.tokenizer.Decode(result.ids);
        line["tokens"] = result.ids.size();
        report.tokens += static_cast<int64_t>(result.ids.size());
        partial.Add(open[i], std::move(line));
        progress.Update(static_cast<int64_t>(partial.done().size()),
                        fmt::format("{:.0f} tokens/s", report.tokens / progress.seconds()));
      });
  report.documents = static_cast<int64_t>(partial.done().size());
  report.tokens_per_second = static_cast<double>(report.tokens) / std::max(progress.seconds(), 1e-9);
  WriteInOrder(options.out, partial.done());
  fs::remove(partial_path);
  return report;
}

}  // namespace nla
