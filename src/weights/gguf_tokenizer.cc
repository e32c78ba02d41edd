// Puts tokenizer.json together: what both kinds have, byte-level BPE, SentencePiece. Tokenising is the text layer's.
#include "weights/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>

#include "base/fail.h"
#include "weights/gguf_pre_tokenizers.h"
#include "weights/gguf_vocabulary.h"
#include "weights/sentencepiece_merges.h"

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAddBos = "tokenizer.ggml.add_bos_token";
constexpr const char* kUnknown = "tokenizer.ggml.unknown_token_id";

const PreTokenizerKind& KindOf(const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.pre";
  const std::string pre = fields.String(key);
  std::string known;
  for (const PreTokenizerKind& kind : PreTokenizerKinds()) {
    if (kind.pre == pre) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.pre);
  }
  Fail({.where = fields.Where(key),
        .what = "unknown pre-tokeniser",
        .found = pre,
        .wanted = known,
        .mend = "Use the tokenizer.json that the model was published with"});
}

bool IsSentencePiece(const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.model";
  const std::string kind = fields.String(key);
  if (kind == "llama") return true;
  if (kind == "gpt2") return false;
  Fail({.where = fields.Where(key),
        .what = "unsupported kind of tokenizer",
        .found = kind,
        .wanted = "gpt2 (byte-level BPE) or llama (SentencePiece)"});
}

bool AddsBos(const GgufFields& fields) {
  return fields.BoolOr(kAddBos, IsSentencePiece(fields) || KindOf(fields).adds_bos);
}

// Control tokens, but for those that Gemma's tokenizer.json only reserves; files call its marks of an image
// user-defined.
bool IsSpecial(std::string_view spelling, TokenType type) {
  if (spelling == "<start_of_image>" || spelling == "<end_of_image>") return true;
  return type == TokenType::kControl && spelling != "<mask>" && !spelling.starts_with("<unused");
}

Json AddedTokens(const GgufVocabulary& vocabulary) {
  Json added = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    if (type != TokenType::kControl && type != TokenType::kUserDefined && type != TokenType::kUnknown) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == TokenType::kUnknown || IsSpecial(vocabulary.tokens[id], type)}});
  }
  return added;
}

// Spelling to id, in the order of ids.
Json VocabularyJson(const GgufVocabulary& vocabulary) {
  Json spellings = Json::object();
  auto& entries = spellings.get_ref<Json::object_t&>();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != TokenType::kUnused) entries.emplace_back(vocabulary.tokens[id], id);
  }
  return spellings;
}

// "a b" as ["a", "b"]; both and "ab" must be tokens.
Json MergesJson(const GgufVocabulary& vocabulary, const GgufFields& fields) {
  const std::string key = "tokenizer.ggml.merges";
  const std::unordered_set<std::string_view> known(vocabulary.tokens.begin(), vocabulary.tokens.end());
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

// One number a token. Tokens that are not found by merging carry arbitrary scores; SentencePiece's own is 0, and the
// order of merges leans on it.
std::vector<float> ReadScores(const GgufFields& fields, const GgufVocabulary& vocabulary) {
  const std::string key = "tokenizer.ggml.scores";
  const nlohmann::json& values = fields.Numbers(key);
  if (values.size() != vocabulary.tokens.size()) {
    Fail({.where = fields.Where(key),
          .what = "not one score a token",
          .found = std::to_string(values.size()),
          .wanted = std::to_string(vocabulary.tokens.size())});
  }
  std::vector<float> scores;
  for (size_t id = 0; id < values.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    const bool merged = type != TokenType::kControl && type != TokenType::kUserDefined;
    scores.push_back(merged ? values[id].get<float>() : 0.0f);
    if (std::isfinite(scores.back())) continue;
    Fail({.where = fields.Where(key), .what = fmt::format("score of token {} is not finite", id)});
  }
  return scores;
}

// [BOS] text; [BOS] text [BOS] other text.
Json BeginWith(const std::string& bos, int64_t id) {
  const auto special = [&](int type) { return Json{{"SpecialToken", {{"id", bos}, {"type_id", type}}}}; };
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  Json token;
  token[bos] = {{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}};
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({special(0), sequence("A", 0)})},
          {"pair", Json::array({special(0), sequence("A", 0), special(1), sequence("B", 1)})},
          {"special_tokens", std::move(token)}};
}

Json PostProcessor(const GgufFields& fields) {
  const std::string add_eos = "tokenizer.ggml.add_eos_token";
  if (fields.BoolOr(add_eos, false)) {
    Fail({.where = fields.Where(add_eos), .what = "unsupported", .found = "true", .wanted = "false"});
  }
  if (!AddsBos(fields)) return nullptr;
  const std::string key = "tokenizer.ggml.bos_token_id";
  return BeginWith(SpecialToken(fields, key).value_or(""), fields.Int(key));  // Int fails where the key is missing
}

Json Replace(const std::string& from, const std::string& to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

void FillByteLevel(const GgufFields& fields, const GgufVocabulary& vocabulary, Json& document) {
  const PreTokenizerKind& kind = KindOf(fields);
  if (!kind.normalizer.empty()) document["normalizer"] = {{"type", kind.normalizer}};
  document["pre_tokenizer"] = kind.make();
  document["decoder"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  Json& model = document["model"];
  model["ignore_merges"] = kind.ignore_merges;
  model["merges"] = MergesJson(vocabulary, fields);
}

// Spaces become signs, what is no token falls back to bytes. Llama 2's kind puts a sign before the text.
void FillSentencePiece(const GgufFields& fields, const GgufVocabulary& vocabulary, Json& document) {
  const bool prefix = fields.BoolOr("tokenizer.ggml.add_space_prefix", true);
  Json decoders = Json::array({Replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (prefix) {
    const Json prepend = {{"type", "Prepend"}, {"prepend", kSpace}};
    document["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json::array({prepend, Replace(" ", kSpace)})}};
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  } else {
    document["normalizer"] = Replace(" ", kSpace);
    // Finds nothing after the normaliser; Gemma's file has it.
    document["pre_tokenizer"] = {
        {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  }
  document["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  Json& model = document["model"];
  if (const std::optional<std::string> unknown = SpecialToken(fields, kUnknown)) model["unk_token"] = *unknown;
  model["fuse_unk"] = true;
  model["byte_fallback"] = std::ranges::find(vocabulary.types, TokenType::kByte) != vocabulary.types.end();
  Json merges = Json::array();
  for (const auto& [left, right] : RebuildMerges(vocabulary.tokens, ReadScores(fields, vocabulary))) {
    merges.push_back({left, right});
  }
  model["merges"] = std::move(merges);
}

// Files of SentencePiece models spell user-defined tokens with plain spaces; tokenizer.json has the sign.
void SpellSpaces(GgufVocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != TokenType::kUserDefined) continue;
    std::string& token = vocabulary.tokens[id];
    for (size_t at = token.find(' '); at != std::string::npos; at = token.find(' ', at)) token.replace(at, 1, kSpace);
  }
}

}  // namespace

nlohmann::ordered_json TokenizerJson(const GgufFile& file) {
  const GgufFields fields(file);
  const bool sentencepiece = IsSentencePiece(fields);
  GgufVocabulary vocabulary = ReadVocabulary(fields);
  if (sentencepiece) SpellSpaces(vocabulary);
  CheckSpellings(fields, vocabulary);
  Json document;
  document["version"] = "1.0";
  document["truncation"] = nullptr;
  document["padding"] = nullptr;
  document["added_tokens"] = AddedTokens(vocabulary);
  document["normalizer"] = nullptr;
  document["pre_tokenizer"] = nullptr;
  document["post_processor"] = PostProcessor(fields);
  document["decoder"] = nullptr;
  Json& model = document["model"];
  model["type"] = "BPE";
  model["dropout"] = nullptr;
  model["unk_token"] = nullptr;
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = false;
  model["byte_fallback"] = false;
  model["ignore_merges"] = false;
  model["vocab"] = VocabularyJson(vocabulary);
  if (sentencepiece) {
    FillSentencePiece(fields, vocabulary, document);
  } else {
    FillByteLevel(fields, vocabulary, document);
  }
  return document;
}

nlohmann::ordered_json TokenizerConfigJson(const GgufFile& file) {
  const GgufFields fields(file);
  Json document;
  // Not the family's own class: transformers would build that one's pre-tokeniser instead of reading tokenizer.json's.
  document["tokenizer_class"] = "PreTrainedTokenizerFast";
  document["add_prefix_space"] = false;
  if (AddsBos(fields)) document["add_bos_token"] = true;
  document["clean_up_tokenization_spaces"] = false;
  document["model_max_length"] = fields.Int(fields.String("general.architecture") + ".context_length", 1);
  constexpr std::array<std::pair<const char*, const char*>, 4> kSpecials = {{
      {"bos_token", "tokenizer.ggml.bos_token_id"},
      {"eos_token", "tokenizer.ggml.eos_token_id"},
      {"unk_token", kUnknown},
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
