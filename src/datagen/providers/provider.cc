// The table of label providers.
#include "datagen/providers/provider.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fail.h"

namespace nla {
namespace {

// Goes up with every change of what ExplainContext writes: unfinished work of another rule must not be taken up.
constexpr int kRuleVersion = 1;

// Not copyable or movable: the token counter points at the tokenizer in it.
class ContextProvider : public LabelProvider {
 public:
  explicit ContextProvider(const ProviderOptions& options) : options_(options.context) {
    if (options_.near_words < 0 || options_.far_words < 0 || options_.topic_words < 0 || options_.max_tokens < 1) {
      FailUsage({.where = "context provider",
                 .what = "a budget is negative or there are no tokens",
                 .found = fmt::format("near {}, far {}, topic {} words, {} tokens", options_.near_words,
                                      options_.far_words, options_.topic_words, options_.max_tokens)});
    }
    if (options.model_dir.empty()) return;
    tokenizer_ = Tokenizer::Load(options.model_dir);
    options_.count_tokens = [this](std::string_view text) {
      return static_cast<int64_t>(tokenizer_->Encode(text, {.add_special = false}).size());
    };
  }

  std::vector<LabelReply> Label(std::span<const std::string> texts) override {
    std::vector<LabelReply> replies;
    replies.reserve(texts.size());
    for (const std::string& text : texts) {
      auto explanation = ExplainContext(text, options_);
      const char* reason = explanation ? "" : text.empty() ? "empty text" : "no two features";
      replies.push_back({std::move(explanation), reason});
    }
    return replies;
  }

  ApiSummaries Facts() const override {
    return {.model = "context",
            .max_tokens = options_.max_tokens,
            .temperature = 0,
            .instruction_prompt = fmt::format(
                "Deterministic rule {}, no language model: the last word and the {} words before it, then {} words "
                "before those, then {} salient words of the recent text. Tokens {}.",
                kRuleVersion, options_.near_words, options_.far_words, options_.topic_words,
                tokenizer_ ? "counted by tokenizer " + tokenizer_->hash().substr(0, 12) : "estimated")};
  }

 private:
  ContextOptions options_;
  std::optional<Tokenizer> tokenizer_;
};

struct Entry {
  std::string name;
  std::unique_ptr<LabelProvider> (*make)(const ProviderOptions& options);
};

const std::vector<Entry>& Table() {
  static const std::vector<Entry> table = {
      {"context",
       [](const ProviderOptions& options) -> std::unique_ptr<LabelProvider> {
         return std::make_unique<ContextProvider>(options);
       }},
  };
  return table;
}

}  // namespace

const std::vector<std::string>& ProviderNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& entry : Table()) all.push_back(entry.name);
    return all;
  }();
  return names;
}

std::unique_ptr<LabelProvider> MakeProvider(const std::string& name, const ProviderOptions& options) {
  for (const Entry& entry : Table()) {
    if (entry.name == name) return entry.make(options);
  }
  FailUsage({.where = "--provider",
             .what = "unknown label provider",
             .found = fmt::format("\"{}\"", name),
             .wanted = fmt::format("one of: {}", fmt::join(ProviderNames(), ", "))});
}

}  // namespace nla
