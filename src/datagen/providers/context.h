// Explanations without a language model or a key: what stands at the very end of a text, what before it, and what it is
// about. Deterministic; the order is that of certainty (an activation shows the last token best), so that a verbalizer
// can begin with what it knows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace nla {

struct ContextOptions {
  int64_t near_words = 2;   // quoted directly before the last word
  int64_t far_words = 6;    // quoted before those
  int64_t topic_words = 3;  // salient words of the recent text that the quotes do not hold
  int64_t max_tokens = 40;
  // Counts the tokens of a text by the model's own tokenizer, and then max_tokens is never exceeded; without it
  // EstimateTokens does, and about one explanation in a thousand is longer.
  std::function<int64_t(std::string_view)> count_tokens = {};
};

// Two or three features joined by a blank line, e.g.
//   Ends with "from", after "had removed".
//
//   Before that: "the army which the President".
//
//   About: frontier, Texas, Indians.
// nullopt when the text has too little for two features, or no two fit.
std::optional<std::string> ExplainContext(std::string_view text, const ContextOptions& options = {});

// About how many tokens a byte-level BPE of some 49,000 tokens makes of English text; on the high side.
double EstimateTokens(std::string_view text);

}  // namespace nla
