// Puts the parts of tokenizer.json together: added tokens, pre-tokeniser, model, decoder. What is not supported is an
// error at load that names the field.
#include "text/tokenizer.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/json_view.h"
#include "text/pre_tokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace nla {
namespace {

// Positions inside a text are 32-bit.
constexpr size_t kMaxTextBytes = size_t{1} << 31;

// Null is fine, and so is ByteLevel where it changes no id (as a post-processor it only trims offsets).
void RequireType(const JsonView& document, std::string_view key, bool may_be_null) {
  const std::optional<JsonView> section = document.Find(key);
  if (!section) {
    if (!may_be_null) document.At(key).Unsupported("ByteLevel");
    return;
  }
  const JsonView type = section->At("type");
  if (type.String() != "ByteLevel") type.Unsupported(may_be_null ? "null or ByteLevel" : "ByteLevel");
}

}  // namespace

struct Tokenizer::Impl {
  std::string hash;
  Vocabulary vocabulary;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  Bpe model;
  std::vector<bool> special;  // by id
};

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::Load(const std::filesystem::path& path) {
  const std::filesystem::path file = std::filesystem::is_directory(path) ? path / "tokenizer.json" : path;
  return FromJson(ReadFile(file), file.string());
}

// "truncation" and "padding" are left unread: they are settings of a training run that files carry along, and
// transformers resets them as well.
Tokenizer Tokenizer::FromJson(std::string_view json, const std::string& where) {
  const nlohmann::json parsed = ParseJson(json, where);
  const JsonView document(parsed, where);
  document.Object().RequireNeutral("normalizer", nullptr);
  RequireType(document, "post_processor", true);
  RequireType(document, "decoder", false);
  const JsonView model = document.At("model").Object();
  // Old files leave the type out.
  if (const auto type = model.Find("type"); type && type->String() != "BPE") type->Unsupported("BPE");

  Vocabulary vocabulary = Vocabulary::FromJson(model.At("vocab"));
  Bpe bpe = Bpe::FromJson(model, vocabulary);
  AddedTokens added = AddedTokens::FromJson(document.At("added_tokens"));
  for (size_t i = 0; i < added.tokens().size(); ++i) {
    const AddedToken& token = added.tokens()[i];
    vocabulary.Add(token.content, token.id, document.At("added_tokens").At(i));
  }
  std::vector<bool> special(static_cast<size_t>(vocabulary.size()), false);
  for (const AddedToken& token : added.tokens()) special[static_cast<size_t>(token.id)] = token.special;
  return Tokenizer(std::make_unique<Impl>(Impl{.hash = Sha256Hex(json),
                                               .vocabulary = std::move(vocabulary),
                                               .added = std::move(added),
                                               .pre_tokenizer = PreTokenizer::FromJson(document.At("pre_tokenizer")),
                                               .model = std::move(bpe),
                                               .special = std::move(special)}));
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() >= kMaxTextBytes) {
    Fail({.where = "text",
          .what = "too long to tokenise",
          .found = fmt::format("{} bytes", text.size()),
          .wanted = fmt::format("less than {}", kMaxTextBytes),
          .mend = "Cut it into documents"});
  }
  std::string repaired;
  if (ValidUtf8Prefix(text) != text.size()) {
    repaired = RepairUtf8(text);
    text = repaired;
  }
  std::vector<TokenId> ids;
  if (options.add_special) ids = PrefixIds();
  for (const TextPiece& piece : impl_->added.Split(text, options.parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    for (const std::string_view word : impl_->pre_tokenizer.Cut(piece.text)) impl_->model.Encode(word, ids);
  }
  return ids;
}

// Ids that do not exist print nothing, as in the library: models have more logits than their tokenizer has tokens.
std::string Tokenizer::Decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (IsValid(id) && !(skip_special && IsSpecial(id))) bytes += impl_->vocabulary.Bytes(id);
  }
  return ValidUtf8Prefix(bytes) == bytes.size() ? bytes : RepairUtf8(bytes);
}

std::string_view Tokenizer::TokenBytes(TokenId id) const {
  return IsValid(id) ? std::string_view(impl_->vocabulary.Bytes(id)) : std::string_view();
}

std::optional<TokenId> Tokenizer::Find(std::string_view spelling) const { return impl_->vocabulary.Find(spelling); }

bool Tokenizer::IsSpecial(TokenId id) const { return IsValid(id) && impl_->special[static_cast<size_t>(id)]; }

bool Tokenizer::IsValid(TokenId id) const { return impl_->vocabulary.IsValid(id); }

int64_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

std::vector<TokenId> Tokenizer::PrefixIds() const { return {}; }

const std::string& Tokenizer::hash() const { return impl_->hash; }

}  // namespace nla
