// Hugging Face tokenizer.json: text to ids and back. Byte-level BPE. Chat formats are chat.h's; streaming is
// stream_decoder.h's.
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
  // Run the file's post-processor (BOS for Gemma and Llama-3; nothing for SmolLM2).
  bool add_special = true;
  // Let the spelling of a special token in the text become its id. Off: text from users never becomes a control token.
  // (Added tokens that are not special are always matched, as the tokenizers library does.)
  bool parse_special = false;
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
  // `skip_special` leaves out special added tokens. The bytes are completed to valid UTF-8 (U+FFFD for broken ones).
  std::string Decode(std::span<const TokenId> ids, bool skip_special = true) const;

  // Raw bytes of one token (part of a character for byte-level pieces); a special token gives its spelling.
  std::string_view TokenBytes(TokenId id) const;
  // Id of a token by its vocabulary spelling or added-token content.
  std::optional<TokenId> Find(std::string_view spelling) const;
  bool IsSpecial(TokenId id) const;
  bool IsValid(TokenId id) const;
  int64_t vocab_size() const;  // one past the largest id
  // Ids that the post-processor puts before a sequence (empty for SmolLM2; BOS elsewhere).
  std::vector<TokenId> PrefixIds() const;
  // sha256 of the tokenizer.json bytes: provenance.
  const std::string& hash() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace nla
