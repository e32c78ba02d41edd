// Puts the parts of tokenizer.json together: added tokens, normaliser, pre-tokeniser, model, post-processor, decoder.
// What is not supported is an error at load that names the field.
#include "text/tokenizer.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/json_view.h"
#include "text/normalizer.h"
#include "text/offsets.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/stream_decoder.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace nla {
namespace {

// Positions inside a text are 32-bit, also after a normaliser has made it longer.
constexpr size_t kMaxTextBytes = size_t{1} << 31;

void CheckLength(std::string_view text) {
  if (text.size() < kMaxTextBytes) return;
  Fail({.where = "text",
        .what = "too long to tokenise",
        .found = fmt::format("{} bytes", text.size()),
        .wanted = fmt::format("less than {}", kMaxTextBytes),
        .mend = "Cut it into documents"});
}

// A section that may be absent, which means the same as null.
JsonView Section(const JsonView& document, std::string_view key) {
  static const nlohmann::json null;
  const std::optional<JsonView> found = document.Find(key);
  return found ? *found : JsonView(null, document.where(), std::string(key));
}

// White space at one end of a token, as ByteLevel's trim_offsets counts it: the letter that spells a space is some too.
bool IsTrimmed(uint32_t c) { return c == 0x120 || (CharClass(c) & kStripped) != 0; }

size_t LeadingSpaces(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    const DecodedChar c = DecodeChar(text);
    if (!IsTrimmed(c.code_point)) break;
    text.remove_prefix(static_cast<size_t>(c.length));
    ++count;
  }
  return count;
}

size_t TrailingSpaces(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    const size_t last = LastCharOffset(text);
    if (!IsTrimmed(DecodeChar(text.substr(last)).code_point)) break;
    text = text.substr(0, last);
    ++count;
  }
  return count;
}

}  // namespace

struct Tokenizer::Impl {
  std::string hash;
  Vocabulary vocabulary;
  Normalizer normalizer;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  Bpe model;
  PostProcessor post;
  std::vector<bool> special;  // by id

  class Pass;
};

// One text on its way to ids. With `offsets`, the bytes of each id are kept too.
class Tokenizer::Impl::Pass {
 public:
  Pass(const Impl& impl, std::string_view text, bool parse_special, bool offsets)
      : impl_(impl), text_(text), parse_special_(parse_special), offsets_(offsets) {}

  Encoding Run() {
    for (const TextPiece& piece : impl_.added.SplitRaw(text_, parse_special_)) {
      const auto base = static_cast<size_t>(piece.text.data() - text_.data());
      if (piece.id >= 0) {
        PushAdded(piece, {base, base + piece.text.size()});
      } else {
        EncodePiece(piece.text, base);
      }
    }
    return std::move(encoding_);
  }

 private:
  void EncodePiece(std::string_view piece, size_t base) {
    std::string storage;
    ByteOrigins origins;
    const std::string_view normalized = impl_.normalizer.Apply(piece, storage, offsets_ ? &origins : nullptr);
    CheckLength(normalized);
    const NormalizedOffsets map(normalized, origins, base);
    for (const TextPiece& part : impl_.added.SplitNormalized(normalized, parse_special_)) {
      const auto begin = static_cast<size_t>(part.text.data() - normalized.data());
      if (part.id >= 0) {
        PushAdded(part, offsets_ ? map.Widen({begin, begin + part.text.size()}) : ByteRange());
        continue;
      }
      for (const std::string_view word : impl_.pre_tokenizer.Cut(part.text)) {
        if (offsets_) {
          EncodeWord(word, static_cast<size_t>(word.data() - normalized.data()), map);
        } else {
          impl_.model.Encode(word, encoding_.ids);
        }
      }
    }
  }

  void EncodeWord(std::string_view word, size_t begin, const NormalizedOffsets& map) {
    const size_t before = encoding_.ids.size();
    ranges_.clear();
    impl_.model.EncodeRanges(word, encoding_.ids, ranges_);
    for (size_t i = 0; i < ranges_.size(); ++i) {
      const ByteRange range = map.Widen({begin + ranges_[i].begin, begin + ranges_[i].end});
      // Of pieces in the byte alphabet, only the space counts as white space.
      const std::string& bytes = impl_.vocabulary.Bytes(encoding_.ids[before + i]);
      const size_t leading = std::min(bytes.find_first_not_of(' '), bytes.size());
      const size_t trailing = bytes.size() - 1 - std::min(bytes.find_last_not_of(' '), bytes.size() - 1);
      PushOffsets(range, leading, leading == bytes.size() ? leading : trailing);
    }
  }

  void PushAdded(const TextPiece& piece, ByteRange range) {
    encoding_.ids.push_back(piece.id);
    if (offsets_) PushOffsets(range, LeadingSpaces(piece.text), TrailingSpaces(piece.text));
  }

  void PushOffsets(ByteRange range, size_t leading, size_t trailing) {
    for (const PostProcessor::Trim& trim : impl_.post.trims) {
      const bool keep = trim.keep_prefix_space && leading == 1 && (range.begin == 0 || encoding_.offsets.empty());
      range = WithoutEnds(text_, range, keep ? 0 : leading, trailing);
    }
    encoding_.offsets.push_back(range);
  }

  const Impl& impl_;
  std::string_view text_;
  bool parse_special_, offsets_;
  Encoding encoding_;
  std::vector<ByteRange> ranges_;
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
  const JsonView model = document.Object().At("model").Object();
  // Old files leave the type out.
  if (const auto type = model.Find("type"); type && type->String() != "BPE") type->Unsupported("BPE");

  const PieceDecoder decoder = PieceDecoder::FromJson(Section(document, "decoder"));
  Normalizer normalizer = Normalizer::FromJson(Section(document, "normalizer"));
  PreTokenizer pre_tokenizer = PreTokenizer::FromJson(Section(document, "pre_tokenizer"), decoder.byte_level());
  Vocabulary vocabulary = Vocabulary::FromJson(model.At("vocab"), decoder);
  Bpe bpe = Bpe::FromJson(model, vocabulary);
  AddedTokens added = AddedTokens::FromJson(document.At("added_tokens"), normalizer);
  for (size_t i = 0; i < added.tokens().size(); ++i) {
    const AddedToken& token = added.tokens()[i];
    vocabulary.Add(token.content, token.id, document.At("added_tokens").At(i));
    if (token.wanted != token.content) vocabulary.Respell(token.id, token.wanted);
  }
  std::vector<bool> special(static_cast<size_t>(vocabulary.size()), false);
  for (const AddedToken& token : added.tokens()) special[static_cast<size_t>(token.id)] = token.special;
  PostProcessor post = PostProcessor::FromJson(Section(document, "post_processor"), vocabulary);
  return Tokenizer(std::make_unique<Impl>(Impl{.hash = Sha256Hex(json),
                                               .vocabulary = std::move(vocabulary),
                                               .normalizer = std::move(normalizer),
                                               .added = std::move(added),
                                               .pre_tokenizer = std::move(pre_tokenizer),
                                               .model = std::move(bpe),
                                               .post = std::move(post),
                                               .special = std::move(special)}));
}

Encoding Tokenizer::EncodeWith(std::string_view text, const EncodeOptions& options, bool offsets) const {
  CheckLength(text);
  const RepairedText repaired(text);
  Encoding encoding = Impl::Pass(*impl_, repaired.text(), options.parse_special, offsets).Run();
  for (ByteRange& range : encoding.offsets) range = repaired.InOriginal(range);
  if (options.add_special) {
    const PostProcessor& post = impl_->post;
    encoding.ids.insert(encoding.ids.begin(), post.prefix.begin(), post.prefix.end());
    encoding.ids.insert(encoding.ids.end(), post.suffix.begin(), post.suffix.end());
    if (offsets) {
      encoding.offsets.insert(encoding.offsets.begin(), post.prefix.size(), ByteRange());
      encoding.offsets.insert(encoding.offsets.end(), post.suffix.size(), ByteRange());
    }
  }
  return encoding;
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  return EncodeWith(text, options, false).ids;
}

Encoding Tokenizer::EncodeWithOffsets(std::string_view text, const EncodeOptions& options) const {
  return EncodeWith(text, options, true);
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool skip_special) const {
  StreamDecoder decoder(*this, skip_special);
  std::string text;
  for (const TokenId id : ids) decoder.Push(id, text);
  decoder.Flush(text);
  return text;
}

// Ids that do not exist print nothing, as in the library: models have more logits than their tokenizer has tokens.
std::string_view Tokenizer::TokenBytes(TokenId id) const {
  return IsValid(id) ? std::string_view(impl_->vocabulary.Bytes(id)) : std::string_view();
}

bool Tokenizer::IsFallbackByte(TokenId id) const { return IsValid(id) && impl_->vocabulary.IsFallbackByte(id); }

std::optional<TokenId> Tokenizer::Find(std::string_view spelling) const { return impl_->vocabulary.Find(spelling); }

bool Tokenizer::IsSpecial(TokenId id) const { return IsValid(id) && impl_->special[static_cast<size_t>(id)]; }

bool Tokenizer::IsValid(TokenId id) const { return impl_->vocabulary.IsValid(id); }

int64_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

const std::vector<TokenId>& Tokenizer::PrefixIds() const { return impl_->post.prefix; }

const std::vector<TokenId>& Tokenizer::SuffixIds() const { return impl_->post.suffix; }

const std::string& Tokenizer::hash() const { return impl_->hash; }

}  // namespace nla
