// Hugging Face tokenizer.json: text to ids and back, with the bytes of the text that each id stands for. Byte-level BPE
// and SentencePiece-style BPE (docs/formats/tokenizer.md). Chat formats are chat.h's; streaming is stream_decoder.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla {

using TokenId = int32_t;

struct EncodeOptions {
  // Add what the file's post-processor adds (BOS for Gemma and Llama-3.2; nothing for Qwen and SmolLM2).
  bool add_special = true;
  // Let the spelling of a special token in the text become its id. Off: text from users never becomes a control token.
  // (Added tokens that are not special are always matched, as the tokenizers library does.)
  bool parse_special = false;
};

// Bytes begin..end of a text.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

struct Encoding {
  std::vector<TokenId> ids;
  std::vector<ByteRange> offsets;  // one for each id
};

// Immutable after loading and safe to share between threads. Cheap to move, not copyable.
class Tokenizer {
 public:
  // `path` is a tokenizer.json or the directory that holds one. Unsupported parts of the file are errors that name
  // them.
  static Tokenizer Load(const std::filesystem::path& path);
  static Tokenizer FromJson(std::string_view json, const std::string& where);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Invalid UTF-8 is replaced by U+FFFD.
  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The same ids with the bytes of `text` that each stands for, in the order of the text. They are the `tokenizers`
  // library's offsets counted in bytes instead of characters: begin and end lie between characters, so that the pieces
  // of one character that fell apart all have the whole of it; where NFC made one character of several, the token has
  // the first of them; what the post-processor adds has 0..0; with trim_offsets, white space at a token's ends is left
  // out. Bytes that are not UTF-8 belong to the U+FFFD that replaces them. Unlike the library's, offsets stay right
  // behind a byte that the vocabulary has no piece for.
  Encoding EncodeWithOffsets(std::string_view text, const EncodeOptions& options = {}) const;
  // `skip_special` leaves out special added tokens. The bytes are completed to valid UTF-8 (U+FFFD for broken ones).
  std::string Decode(std::span<const TokenId> ids, bool skip_special = true) const;

  // Raw bytes of one token (part of a character for byte-level pieces and for <0xNN>); a special token gives its
  // spelling.
  std::string_view TokenBytes(TokenId id) const;
  // Whether the token is spelled <0xNN>: one of the bytes of a character that a SentencePiece-style model has no piece
  // for.
  bool IsFallbackByte(TokenId id) const;
  // Id of a token by its vocabulary spelling or added-token content.
  std::optional<TokenId> Find(std::string_view spelling) const;
  bool IsSpecial(TokenId id) const;
  bool IsValid(TokenId id) const;
  int64_t vocab_size() const;  // one past the largest id
  // Ids that the post-processor puts before a sequence (BOS for Gemma and Llama-3.2; empty for Qwen and SmolLM2), and
  // behind it.
  const std::vector<TokenId>& PrefixIds() const;
  const std::vector<TokenId>& SuffixIds() const;
  // sha256 of the tokenizer.json bytes: provenance.
  const std::string& hash() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  Encoding EncodeWith(std::string_view text, const EncodeOptions& options, bool offsets) const;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace nla
