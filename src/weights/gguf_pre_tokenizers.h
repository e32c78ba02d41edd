// What tokenizer.ggml.pre stands for: how a text is cut before byte-level BPE. One table, for both directions.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

namespace nla {

struct PreTokenizerKind {
  std::string_view pre;         // tokenizer.ggml.pre; the first of a kind is the one that is written
  std::string_view normalizer;  // "NFC" or ""
  nlohmann::ordered_json (*make)();
  bool ignore_merges;  // a word that is a token is that token
  bool adds_bos;       // where the file does not say
};

std::span<const PreTokenizerKind> PreTokenizerKinds();

}  // namespace nla
