// Reads and checks tokenizer.ggml.tokens and token_type. What becomes of them is gguf_tokenizer.cc's.
#include "weights/gguf_vocabulary.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/fail.h"

namespace nla {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";

std::vector<TokenType> ReadTypes(const GgufFields& fields, size_t tokens) {
  const std::string key = "tokenizer.ggml.token_type";
  const nlohmann::json& values = fields.Ints(key);
  if (values.size() != tokens) {
    Fail({.where = fields.Where(key),
          .what = "not one type a token",
          .found = std::to_string(values.size()),
          .wanted = std::to_string(tokens)});
  }
  std::vector<TokenType> types;
  for (const nlohmann::json& value : values) {
    const auto number = value.get<int64_t>();
    if (number < static_cast<int64_t>(TokenType::kNormal) || number > static_cast<int64_t>(TokenType::kByte)) {
      Fail({.where = fields.Where(key),
            .what = fmt::format("unsupported type of token {}", types.size()),
            .found = value.dump(),
            .wanted = "1 (normal) to 6 (byte)"});
    }
    types.push_back(static_cast<TokenType>(number));
  }
  return types;
}

}  // namespace

GgufVocabulary ReadVocabulary(const GgufFields& fields) {
  constexpr size_t kLongest = 4096;  // bytes; real tokens have some hundred
  GgufVocabulary vocabulary;
  for (const nlohmann::json& token : fields.Strings(kTokens)) {
    const auto& text = token.get_ref<const std::string&>();
    if (text.size() > kLongest) {
      Fail({.where = fields.Where(kTokens),
            .what = fmt::format("length of token {}", vocabulary.tokens.size()),
            .found = fmt::format("{} bytes", text.size()),
            .wanted = fmt::format("at most {}", kLongest)});
    }
    vocabulary.tokens.push_back(text);
  }
  vocabulary.types = ReadTypes(fields, vocabulary.tokens.size());
  return vocabulary;
}

void CheckSpellings(const GgufFields& fields, const GgufVocabulary& vocabulary) {
  std::unordered_set<std::string_view> seen;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] == TokenType::kUnused || seen.insert(vocabulary.tokens[id]).second) continue;
    Fail({.where = fields.Where(kTokens),
          .what = fmt::format("token {} is a duplicate", id),
          .found = vocabulary.tokens[id]});
  }
}

std::optional<std::string> SpecialToken(const GgufFields& fields, const std::string& key) {
  const std::optional<int64_t> id = fields.OptionalInt(key);
  if (!id) return std::nullopt;
  const nlohmann::json& tokens = fields.Strings(kTokens);
  if (static_cast<size_t>(*id) >= tokens.size()) {
    Fail({.where = fields.Where(key),
          .what = "id outside the vocabulary",
          .found = std::to_string(*id),
          .wanted = fmt::format("below {}", tokens.size())});
  }
  return tokens[static_cast<size_t>(*id)].get<std::string>();
}

}  // namespace nla
