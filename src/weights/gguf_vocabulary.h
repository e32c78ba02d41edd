// The tokens of a GGUF file with their types, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weights/gguf_fields.h"

namespace nla {

// tokenizer.ggml.token_type.
enum class TokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct GgufVocabulary {
  std::vector<std::string> tokens;  // by id
  std::vector<TokenType> types;     // as many
};

GgufVocabulary ReadVocabulary(const GgufFields& fields);
// Unused ids only pad the embedding table and have no spelling; any other spelling must be there once.
void CheckSpellings(const GgufFields& fields, const GgufVocabulary& vocabulary);

// The spelling of the token that `key` names by id, where the file has the key.
std::optional<std::string> SpecialToken(const GgufFields& fields, const std::string& key);

}  // namespace nla
