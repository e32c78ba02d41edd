// The table of pre-tokenisers, as tokenizer.json spells them. Running them is the text layer's.
#include "weights/gguf_pre_tokenizers.h"

#include <array>
#include <string>

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

Json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json Sequence(Json first, Json second) {
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({std::move(first), std::move(second)})}};
}

// Words, numbers and punctuation by one expression, then bytes.
Json Split(const std::string& regex) {
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  return Sequence(split, ByteLevel(false));
}

// Each digit alone, then byte-level BPE's own split.
Json SmolLm() { return Sequence({{"type", "Digits"}, {"individual_digits", true}}, ByteLevel(true)); }

Json Gpt2() { return ByteLevel(true); }

Json Qwen2() {
  return Split(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

// As Qwen 2's, with up to three digits together.
Json Llama3() {
  return Split(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

// Mistral's: words end where a capital follows a small letter.
Json Tekken() {
  return Split(R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
               R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

constexpr std::array<PreTokenizerKind, 7> kKinds = {{
    {"smollm", "", SmolLm, false, false},
    {"gpt-2", "", Gpt2, false, false},
    {"qwen2", "NFC", Qwen2, false, false},
    {"deepseek-r1-qwen", "NFC", Qwen2, false, true},
    {"llama-bpe", "", Llama3, true, true},
    {"llama3", "", Llama3, true, true},
    {"tekken", "", Tekken, true, true},
}};

}  // namespace

std::span<const PreTokenizerKind> PreTokenizerKinds() { return kKinds; }

}  // namespace nla
