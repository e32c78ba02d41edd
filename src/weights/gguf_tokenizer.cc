// Vocabulary, merges, special tokens and chat template out of GGUF metadata. Tokenising is the text layer's.
#include "weights/gguf_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <unordered_set>

#include "base/fail.h"
#include "weights/gguf_fields.h"

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

// tokenizer.ggml.token_type.
constexpr int64_t kNormal = 1;
constexpr int64_t kControl = 3;
constexpr int64_t kUserDefined = 4;
constexpr int64_t kUnused = 5;

Json ByteLevel(bool add_prefix_space) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", true}};
}

// Each digit alone, then byte-level BPE's own split.
Json SmolLmPreTokenizer() {
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({digits, ByteLevel(false)})}};
}

struct PreTokenizer {
  std::string_view pre;  // tokenizer.ggml.pre
  Json (*make)();
};
constexpr std::array<PreTokenizer, 1> kPreTokenizers = {{{"smollm", SmolLmPreTokenizer}}};

Json MakePreTokenizer(const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.pre";
  const std::string pre = fields.String(key);
  std::string known;
  for (const PreTokenizer& entry : kPreTokenizers) {
    if (entry.pre == pre) return entry.make();
    known += (known.empty() ? "" : ", ") + std::string(entry.pre);
  }
  Fail({.where = fields.Where(key),
        .what = "unknown pre-tokeniser",
        .found = pre,
        .wanted = known,
        .mend = "Use the tokenizer.json that the model was published with"});
}

struct Vocabulary {
  const nlohmann::json& tokens;  // strings; both borrow the file
  const nlohmann::json& types;   // whole numbers, as many
};

Vocabulary ReadVocabulary(const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.token_type";
  const Vocabulary vocabulary{fields.Strings("tokenizer.ggml.tokens"), fields.Ints(key)};
  if (vocabulary.types.size() != vocabulary.tokens.size()) {
    Fail({.where = fields.Where(key),
          .what = "not one type a token",
          .found = std::to_string(vocabulary.types.size()),
          .wanted = std::to_string(vocabulary.tokens.size())});
  }
  for (size_t id = 0; id < vocabulary.types.size(); ++id) {
    const auto type = vocabulary.types[id].get<int64_t>();
    if (type == kNormal || type == kControl || type == kUserDefined || type == kUnused) continue;
    Fail({.where = fields.Where(key),
          .what = fmt::format("unsupported type of token {}", id),
          .found = std::to_string(type),
          .wanted = "1 (normal), 3 (control), 4 (user defined) or 5 (unused)"});
  }
  return vocabulary;
}

Json AddedTokens(const Vocabulary& vocabulary) {
  Json added = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto type = vocabulary.types[id].get<int64_t>();
    if (type != kControl && type != kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id].get<std::string>()},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == kControl}});
  }
  return added;
}

// Spelling to id, in the order of ids. Unused ids only pad the embedding table and have no spelling.
Json VocabularyJson(const Vocabulary& vocabulary, const GgufFields& fields) {
  Json spellings = Json::object();
  auto& entries = spellings.get_ref<Json::object_t&>();
  std::unordered_set<std::string_view> seen;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto& token = vocabulary.tokens[id].get_ref<const std::string&>();
    if (vocabulary.types[id].get<int64_t>() == kUnused) continue;
    if (!seen.insert(token).second) {
      Fail({.where = fields.Where("tokenizer.ggml.tokens"),
            .what = fmt::format("token {} is a duplicate", id),
            .found = token});
    }
    entries.emplace_back(token, id);
  }
  return spellings;
}

// "a b" as ["a", "b"]; both and "ab" must be tokens.
Json MergesJson(const Vocabulary& vocabulary, const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.merges";
  std::unordered_set<std::string_view> known;
  for (const auto& token : vocabulary.tokens) known.insert(token.get_ref<const std::string&>());
  Json merges = Json::array();
  for (const auto& value : fields.Strings(key)) {
    const auto& merge = value.get_ref<const std::string&>();
    const size_t space = merge.find(' ');
    const std::string left = merge.substr(0, space);
    const std::string right = space == std::string::npos ? "" : merge.substr(space + 1);
    if (!known.contains(left) || !known.contains(right) || !known.contains(left + right)) {
      Fail({.where = fields.Where(key),
            .what = fmt::format("merge {} is not of two tokens into a third", merges.size()),
            .found = merge});
    }
    merges.push_back({left, right});
  }
  return merges;
}

// The spelling of the token that `key` names by id, where the file has the key.
std::optional<std::string> SpecialToken(const GgufFields& fields, const std::string& key) {
  const std::optional<int64_t> id = fields.OptionalInt(key);
  if (!id) return std::nullopt;
  const nlohmann::json& tokens = fields.Strings("tokenizer.ggml.tokens");
  if (static_cast<size_t>(*id) >= tokens.size()) {
    Fail({.where = fields.Where(key),
          .what = "id outside the vocabulary",
          .found = std::to_string(*id),
          .wanted = fmt::format("below {}", tokens.size())});
  }
  return tokens[static_cast<size_t>(*id)].get<std::string>();
}

}  // namespace

nlohmann::ordered_json TokenizerJson(const GgufFile& file) {
  const GgufFields fields(file);
  const std::string kind = fields.String("tokenizer.ggml.model");
  if (kind != "gpt2") {
    Fail({.where = fields.Where("tokenizer.ggml.model"),
          .what = "unsupported kind of tokenizer",
          .found = kind,
          .wanted = "gpt2 (byte-level BPE)"});
  }
  const std::string add_bos = "tokenizer.ggml.add_bos_token";
  if (fields.BoolOr(add_bos, false)) {
    Fail({.where = fields.Where(add_bos), .what = "unsupported", .found = "true", .wanted = "false"});
  }
  const Vocabulary vocabulary = ReadVocabulary(fields);
  Json document;
  document["version"] = "1.0";
  document["truncation"] = nullptr;
  document["padding"] = nullptr;
  document["added_tokens"] = AddedTokens(vocabulary);
  document["normalizer"] = nullptr;
  document["pre_tokenizer"] = MakePreTokenizer(fields);
  document["post_processor"] = nullptr;
  document["decoder"] = ByteLevel(true);
  Json& model = document["model"];
  model["type"] = "BPE";
  model["dropout"] = nullptr;
  model["unk_token"] = nullptr;
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = false;
  model["byte_fallback"] = false;
  model["ignore_merges"] = false;
  model["vocab"] = VocabularyJson(vocabulary, fields);
  model["merges"] = MergesJson(vocabulary, fields);
  return document;
}

nlohmann::ordered_json TokenizerConfigJson(const GgufFile& file) {
  const GgufFields fields(file);
  Json document;
  // Not GPT2Tokenizer: transformers would build that one's pre-tokeniser instead of reading tokenizer.json's.
  document["tokenizer_class"] = "PreTrainedTokenizerFast";
  document["add_prefix_space"] = false;
  document["clean_up_tokenization_spaces"] = false;
  document["model_max_length"] = fields.Int(fields.String("general.architecture") + ".context_length", 1);
  constexpr std::array<std::pair<const char*, const char*>, 4> kSpecials = {{
      {"bos_token", "tokenizer.ggml.bos_token_id"},
      {"eos_token", "tokenizer.ggml.eos_token_id"},
      {"unk_token", "tokenizer.ggml.unknown_token_id"},
      {"pad_token", "tokenizer.ggml.padding_token_id"},
  }};
  for (const auto& [name, key] : kSpecials) {
    if (const std::optional<std::string> token = SpecialToken(fields, key)) document[name] = *token;
  }
  const std::string chat = "tokenizer.chat_template";
  if (fields.Has(chat)) document["chat_template"] = fields.String(chat);
  return document;
}

}  // namespace nla
