// Sampling of a corpus: prompts through the chat format, texts appended to a partial file and put in order at the end.
#include "datagen/sample.h"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/fail.h"
#include "base/file.h"
#include "base/progress.h"
#include "model/generator.h"

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

// What an earlier run finished: index -> line. A torn last line is ignored.
std::map<int64_t, ordered_json> ReadPartial(const fs::path& path, const std::vector<std::string>& prompts) {
  std::map<int64_t, ordered_json> done;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const ordered_json value = ordered_json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("index") || !value.contains("text")) continue;
    const int64_t index = value["index"];
    if (index < static_cast<int64_t>(prompts.size()) && value["prompt"] == prompts[index]) done[index] = value;
  }
  return done;
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
  const std::vector<std::string> prompts = ReadPrompts(options.prompts, options.limit);
  fs::path partial = options.out;
  partial += ".partial";
  std::map<int64_t, ordered_json> done = ReadPartial(partial, prompts);
  std::vector<int64_t> open;
  for (int64_t i = 0; i < static_cast<int64_t>(prompts.size()); ++i) {
    if (!done.contains(i)) open.push_back(i);
  }
  SamplingOptions sampling = options.sampling;
  const std::optional<TokenId> end = model.tokenizer.Find(model.chat.end_of_turn());
  if (end) sampling.stop_ids.push_back(*end);
  Generator generator(model.decoder, sampling, options.slots);
  std::ofstream log(partial, std::ios::app);
  Progress progress("sample", "texts", static_cast<int64_t>(prompts.size()));
  progress.StartAt(static_cast<int64_t>(done.size()));
  SampleReport report;
  generator.Run(
      static_cast<int64_t>(open.size()),
      [&](int64_t i) {
        const std::vector<ChatMessage> messages = {{"user", prompts[open[i]]}};
        const std::vector<TokenId> ids = model.chat.Encode(model.tokenizer, messages, true);
        return GenerationRequest{model.decoder.Embed(ids), options.seed * 1000003 + static_cast<uint64_t>(open[i])};
      },
      [&](int64_t i, Generation result) {
        ordered_json line = {{"index", open[i]}, {"prompt", prompts[open[i]]}};
        line["text"] = model.tokenizer.Decode(result.ids);
        line["tokens"] = result.ids.size();
        log << line.dump() << "\n" << std::flush;
        if (!log)
          Fail({.where = partial.string(), .what = "cannot be written", .mend = "Free disk space and run again"});
        report.tokens += static_cast<int64_t>(result.ids.size());
        done[open[i]] = std::move(line);
        progress.Update(static_cast<int64_t>(done.size()),
                        fmt::format("{:.0f} tokens/s", report.tokens / progress.seconds()));
      });
  report.documents = static_cast<int64_t>(done.size());
  report.tokens_per_second = static_cast<double>(report.tokens) / std::max(progress.seconds(), 1e-9);
  WriteInOrder(options.out, done);
  fs::remove(partial);
  return report;
}

}  // namespace nla
