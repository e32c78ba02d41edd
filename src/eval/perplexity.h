// How well a language model foresees texts: whether explanations are still language.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "model/language_model.h"

namespace nla {

// exp of the mean −log p over the tokens of all texts, each text read by itself as plain text, after what the
// tokenizer puts first (BOS); without that a text's first token is foreseen by nothing and not counted. nullopt when
// no token is. In the decoder's compute dtype, the sums in double.
std::optional<double> Perplexity(const LanguageModel& model, std::span<const std::string> texts);

}  // namespace nla
