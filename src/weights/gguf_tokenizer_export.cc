// Tokens, types, merges or scores, special ids and chat template out of Hugging Face's files.
#include "weights/gguf_tokenizer_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "weights/gguf_pre_tokenizers.h"
#include "weights/gguf_vocabulary.h"
#include "weights/sentencepiece_merges.h"
#include "weights/strict_json.h"

namespace nla {
namespace {

using SortedJson = nlohmann::json;
using Merges = std::vector<std::pair<std::string, std::string>>;

// What is read of the directory.
struct Files {
  std::string where;  // tokenizer.json, for errors
  SortedJson tokenizer;
  SortedJson config = SortedJson::object();  // tokenizer_config.json
  std::string chat_template;
};

std::string ChatTemplate(const fs::path& directory, const SortedJson& config) {
  if (fs::exists(directory / "chat_template.jinja")) return ReadFile(directory / "chat_template.jinja", kLargestJson);
  const auto found = config.find("chat_template");
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const SortedJson& entry : *found) {
    if (entry.is_object() && entry.value("name", "") == "default") return entry.value("template", "");
  }
  return "";
}

Files ReadFiles(const fs::path& directory) {
  Files files;
  const fs::path path = directory / "tokenizer.json";
  files.where = path.string();
  files.tokenizer = ReadStrictJson(path);
  const fs::path config = directory / "tokenizer_config.json";
  if (fs::exists(config)) files.config = ReadStrictJson(config);
  files.chat_template = ChatTemplate(directory, files.config);
  return files;
}

// A member of `object` that is an object or array of the kind asked for.
const SortedJson& Member(const SortedJson& object, const char* key, SortedJson::value_t type,
                         const std::string& where) {
  const auto found = object.find(key);
  if (found != object.end() && found->type() == type) return *found;
  Fail({.where = where, .what = fmt::format("{} is missing or not of its type", key)});
}

[[noreturn]] void Refuse(const Files& files, const std::string& field, const SortedJson& found,
                         const std::string& wanted) {
  std::string text = found.dump(-1, ' ', false, SortedJson::error_handler_t::replace);
  if (text.size() > 100) text = text.substr(0, 97) + "...";
  Fail({.where = files.where, .what = field + " cannot be put into a GGUF file", .found = text, .wanted = wanted});
}

std::string PadName(size_t id) { return fmt::format("[PAD{}]", id); }

// Puts a token in its place. Added tokens past the model's table (Gemma's image token in a text model) are left out.
void Place(const Files& files, const std::string& token, const SortedJson& id, TokenType type,
           GgufVocabulary& vocabulary) {
  const size_t size = vocabulary.tokens.size();
  if (!id.is_number_unsigned()) Refuse(files, "token id", id, "a whole number");
  const auto at = id.get<uint64_t>();
  if (at >= size) {
    if (type == TokenType::kNormal || type == TokenType::kByte) {
      Refuse(files, fmt::format("token {}", token), id, fmt::format("an id below vocab_size = {}", size));
    }
    spdlog::info("convert: token {} ({}) lies outside the model's vocabulary and is left out", token, at);
    return;
  }
  vocabulary.tokens[at] = token;
  vocabulary.types[at] = type;
}

// "<0x0A>" stands for a byte.
bool IsByte(std::string_view token) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return token.size() == 6 && token.starts_with("<0x") && hex(token[3]) && hex(token[4]) && token[5] == '>';
}

TokenType AddedType(const SortedJson& token, const std::string& content) {
  const bool reserved = content == "<mask>" || content.starts_with("<unused");  // Gemma's; published files have it so
  return reserved || token.value("special", false) ? TokenType::kControl : TokenType::kUserDefined;
}

GgufVocabulary ReadTokens(const Files& files, const SortedJson& model, size_t size, bool bytes) {
  GgufVocabulary vocabulary{std::vector<std::string>(size), std::vector<TokenType>(size, TokenType::kUnused)};
  for (size_t id = 0; id < size; ++id) vocabulary.tokens[id] = PadName(id);
  std::vector<std::pair<std::string, const SortedJson*>> added;
  if (files.tokenizer.contains("added_tokens")) {
    for (const SortedJson& token : Member(files.tokenizer, "added_tokens", SortedJson::value_t::array, files.where)) {
      if (!token.is_object() || !token.contains("id") || !token.value("content", SortedJson()).is_string()) {
        Refuse(files, "added_tokens", token, "an object with id and content");
      }
      added.emplace_back(token["content"].get<std::string>(), &token);
    }
  }
  for (const auto& [token, id] : Member(model, "vocab", SortedJson::value_t::object, files.where).items()) {
    Place(files, token, id, bytes && IsByte(token) ? TokenType::kByte : TokenType::kNormal, vocabulary);
  }
  for (const auto& [content, token] : added) {
    Place(files, content, token->at("id"), AddedType(*token, content), vocabulary);
  }
  return vocabulary;
}

// "a b" of old files, ["a", "b"] of new ones.
Merges ReadMerges(const Files& files, const SortedJson& model) {
  Merges merges;
  for (const SortedJson& merge : Member(model, "merges", SortedJson::value_t::array, files.where)) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    const std::string text = merge.is_string() ? merge.get<std::string>() : "";
    const size_t space = text.find(' ');
    if (space == std::string::npos) Refuse(files, "a merge", merge, "two tokens");
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

// Offsets do not change ids.
SortedJson WithoutOffsets(SortedJson step) {
  if (step.is_object()) {
    step.erase("trim_offsets");
    for (SortedJson& inner : step) inner = WithoutOffsets(inner);
  } else if (step.is_array()) {
    for (SortedJson& inner : step) inner = WithoutOffsets(inner);
  }
  return step;
}

const PreTokenizerKind& KindOf(const Files& files, const SortedJson& model) {
  const SortedJson found = WithoutOffsets(files.tokenizer.value("pre_tokenizer", SortedJson()));
  const SortedJson normalizer = files.tokenizer.value("normalizer", SortedJson());
  const std::string normalizer_type = normalizer.is_object() ? normalizer.value("type", "") : "";
  const SortedJson ignore = model.value("ignore_merges", SortedJson(false));
  for (const PreTokenizerKind& kind : PreTokenizerKinds()) {
    const SortedJson wanted = WithoutOffsets(SortedJson(kind.make()));
    if (found == wanted && normalizer_type == kind.normalizer && ignore == SortedJson(kind.ignore_merges)) return kind;
  }
  Refuse(files, "pre_tokenizer, with normalizer and ignore_merges,", found,
         "one that tokenizer.ggml.pre has a name for");
}

void AddByteLevel(const Files& files, const SortedJson& model, std::vector<GgufPair>& metadata) {
  metadata.push_back({"tokenizer.ggml.model", "gpt2"});
  metadata.push_back({"tokenizer.ggml.pre", std::string(KindOf(files, model).pre)});
  std::vector<std::string> merges;
  for (const auto& [left, right] : ReadMerges(files, model)) merges.push_back(fmt::format("{} {}", left, right));
  metadata.push_back({"tokenizer.ggml.merges", std::move(merges)});
}

// Whether a sign for a space goes before a text: by the normaliser's Prepend or by Metaspace.
bool AddsSpacePrefix(const Files& files) {
  const SortedJson normalizer = files.tokenizer.value("normalizer", SortedJson());
  const SortedJson pre = files.tokenizer.value("pre_tokenizer", SortedJson());
  const SortedJson replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
  const SortedJson prepend = {{"type", "Prepend"}, {"prepend", kSpace}};
  const bool metaspace = pre.is_object() && pre.value("type", "") == "Metaspace";
  if (normalizer.is_null() && metaspace) return pre.value("prepend_scheme", "always") != "never";
  const bool neutral = pre.is_null() || (pre.is_object() && pre.value("type", "") == "Split" &&
                                         pre.value("pattern", SortedJson()) == SortedJson{{"String", " "}});
  if (neutral && normalizer == replace) return false;
  if (neutral && normalizer == SortedJson{{"type", "Sequence"}, {"normalizers", {prepend, replace}}}) return true;
  Refuse(files, "normalizer", normalizer, "spaces as signs, with or without one before the text");
}

// SentencePiece's scores: the later a token comes up among the merges, the lower. Single characters come after all
// tokens that are merged, in the order of ids; tokens that no text is cut into have the score that published files
// give them, and bytes 0.
std::vector<float> ScoresOf(const GgufVocabulary& vocabulary, const Merges& merges) {
  constexpr float kNoScore = -1000;
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids.emplace(vocabulary.tokens[id], id);
  std::vector<float> scores(vocabulary.tokens.size(), kNoScore);
  std::vector<bool> scored(scores.size(), false);
  float next = 0;
  const auto score = [&](size_t id) {
    if (scored[id] || vocabulary.types[id] != TokenType::kNormal) return;
    scored[id] = true;
    scores[id] = next--;
  };
  for (const auto& [left, right] : merges) {
    const auto whole = ids.find(left + right);
    if (whole != ids.end()) score(whole->second);
  }
  for (size_t id = 0; id < scores.size(); ++id) {
    score(id);
    if (vocabulary.types[id] == TokenType::kByte) scores[id] = 0;
  }
  return scores;
}

// Merges with the scores of what they make.
using ScoredMerges = std::vector<std::tuple<float, std::string, std::string>>;

ScoredMerges Scored(const std::unordered_map<std::string_view, float>& scores, const Merges& merges) {
  constexpr float kNone = -1e9f;  // under every score
  ScoredMerges scored;
  for (const auto& [left, right] : merges) {
    const auto it = scores.find(left + right);
    scored.emplace_back(it == scores.end() ? kNone : it->second, left, right);
  }
  return scored;
}

// The scores must give the merges that are here: all of them, in an order by score. Old converters put the ways to make
// one token in another order than new ones; files of scores do not tell them apart.
void CheckScores(const Files& files, const GgufVocabulary& vocabulary, std::vector<float> scores,
                 const Merges& merges) {
  std::unordered_map<std::string_view, float> by_token;
  for (size_t id = 0; id < scores.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    if (type == TokenType::kControl || type == TokenType::kUserDefined) scores[id] = 0;  // as SentencePiece has it
    by_token.emplace(vocabulary.tokens[id], scores[id]);
  }
  ScoredMerges wanted = Scored(by_token, RebuildMerges(vocabulary.tokens, scores));
  ScoredMerges found = Scored(by_token, merges);
  const auto higher = [](const auto& a, const auto& b) { return std::get<0>(a) > std::get<0>(b); };
  const bool ordered = std::ranges::is_sorted(found, higher);
  std::ranges::sort(wanted);
  std::ranges::sort(found);
  if (ordered && found == wanted) return;
  Fail({.where = files.where,
        .what = ordered ? "merges that no scores give" : "merges that no scores give in this order",
        .found = fmt::format("{} merges", found.size()),
        .wanted = fmt::format("the {} merges of a SentencePiece vocabulary", wanted.size())});
}

void AddSentencePiece(const Files& files, const SortedJson& model, GgufVocabulary& vocabulary,
                      std::vector<GgufPair>& metadata) {
  metadata.push_back({"tokenizer.ggml.model", "llama"});
  metadata.push_back({"tokenizer.ggml.pre", "default"});
  const Merges merges = ReadMerges(files, model);
  std::vector<float> scores = ScoresOf(vocabulary, merges);
  CheckScores(files, vocabulary, scores, merges);
  metadata.push_back({"tokenizer.ggml.scores", std::move(scores)});
  metadata.push_back({"tokenizer.ggml.add_space_prefix", AddsSpacePrefix(files)});
  // Files spell user-defined tokens with plain spaces.
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != TokenType::kUserDefined) continue;
    std::string& token = vocabulary.tokens[id];
    for (size_t at = 0; (at = token.find(kSpace, at)) != std::string::npos;) token.replace(at, 3, " ");
  }
}

// What TemplateProcessing puts around a text: nothing, or the one token before it.
std::optional<std::string> BeginningToken(const Files& files) {
  const SortedJson processor = files.tokenizer.value("post_processor", SortedJson());
  SortedJson steps = SortedJson::array({processor});
  if (processor.is_object() && processor.value("type", "") == "Sequence")
    steps = processor.value("processors", SortedJson::array());
  for (const SortedJson& step : steps) {
    if (!step.is_object() || step.value("type", "") == "ByteLevel") continue;
    const SortedJson single = step.value("single", SortedJson::array());
    const bool begins = step.value("type", "") == "TemplateProcessing" && single.is_array() && single.size() == 2 &&
                        single[0].is_object() && single[0].contains("SpecialToken") && single[1].contains("Sequence");
    if (begins) return single[0]["SpecialToken"].value("id", "");
    if (single.is_array() && single.size() == 1 && single[0].contains("Sequence")) continue;
    Refuse(files, "post_processor", processor, "one token before the text, or none");
  }
  return std::nullopt;
}

// The id of the token that a file names: a spelling, or an object with one.
std::optional<int64_t> IdOf(const GgufVocabulary& vocabulary, const SortedJson& named) {
  const SortedJson spelling = named.is_object() ? named.value("content", SortedJson()) : named;
  if (!spelling.is_string()) return std::nullopt;
  const auto it = std::ranges::find(vocabulary.tokens, spelling.get<std::string>());
  if (it == vocabulary.tokens.end()) return std::nullopt;
  return it - vocabulary.tokens.begin();
}

void AddSpecials(const Files& files, const SortedJson& tokenizer_model, const GgufVocabulary& vocabulary,
                 const GgufModel& model, std::vector<GgufPair>& metadata) {
  const auto add = [&](const char* key, std::optional<int64_t> id) {
    if (!id) return;
    if (*id >= model.sizes.vocabulary) Refuse(files, key, *id, "an id of the vocabulary");
    metadata.push_back({fmt::format("tokenizer.ggml.{}_token_id", key), static_cast<uint32_t>(*id)});
  };
  const auto named = [&](const char* key) { return IdOf(vocabulary, files.config.value(key, SortedJson())); };
  const auto either = [](std::optional<int64_t> a, std::optional<int64_t> b) { return a ? a : b; };
  const std::optional<std::string> beginning = BeginningToken(files);
  add("bos", beginning ? IdOf(vocabulary, *beginning) : either(named("bos_token"), model.bos));
  // The tokenizer's eos where the model stops there too; the other ends follow.
  std::vector<int64_t> ends = model.ends;
  const std::optional<int64_t> eos = named("eos_token");
  if (const auto it = eos ? std::ranges::find(ends, *eos) : ends.end(); it != ends.end())
    std::rotate(ends.begin(), it, it + 1);
  if (ends.empty() && eos) ends.push_back(*eos);
  constexpr const char* kEnds[] = {"eos", "eot", "eom"};
  if (ends.size() > std::size(kEnds)) {
    spdlog::warn("convert: GGUF has room for {} ends of a text, the model has {}", std::size(kEnds), ends.size());
  }
  for (size_t i = 0; i < std::min(ends.size(), std::size(kEnds)); ++i) add(kEnds[i], ends[i]);
  add("unknown", either(named("unk_token"), IdOf(vocabulary, tokenizer_model.value("unk_token", SortedJson()))));
  add("padding", either(named("pad_token"), model.pad));
  metadata.push_back({"tokenizer.ggml.add_bos_token", beginning.has_value()});
  metadata.push_back({"tokenizer.ggml.add_eos_token", false});
}

}  // namespace

std::vector<GgufPair> TokenizerMetadata(const fs::path& directory, const GgufModel& model) {
  const Files files = ReadFiles(directory);
  const SortedJson& tokenizer = Member(files.tokenizer, "model", SortedJson::value_t::object, files.where);
  if (tokenizer.value("type", "BPE") != "BPE") Refuse(files, "model", tokenizer["type"], "BPE");
  const bool bytes = tokenizer.value("byte_fallback", false);
  GgufVocabulary vocabulary = ReadTokens(files, tokenizer, static_cast<size_t>(model.sizes.vocabulary), bytes);
  std::vector<GgufPair> metadata;
  if (bytes) {
    AddSentencePiece(files, tokenizer, vocabulary, metadata);
  } else {
    AddByteLevel(files, tokenizer, metadata);
  }
  AddSpecials(files, tokenizer, vocabulary, model, metadata);
  std::vector<int32_t> types;
  for (const TokenType type : vocabulary.types) types.push_back(static_cast<int32_t>(type));
  metadata.push_back({"tokenizer.ggml.tokens", std::move(vocabulary.tokens)});
  metadata.push_back({"tokenizer.ggml.token_type", std::move(types)});
  if (!files.chat_template.empty()) metadata.push_back({"tokenizer.chat_template", files.chat_template});
  return metadata;
}

}  // namespace nla
