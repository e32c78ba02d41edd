// The "decoder" of tokenizer.json: what bytes a piece stands for. Putting pieces together is stream_decoder.h's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/json_view.h"
#include "text/replacement.h"

namespace nla {

// Immutable; safe to share between threads.
class PieceDecoder {
 public:
  // ByteLevel, or the Sequence of Replace, ByteFallback and Fuse of SentencePiece-style models.
  static PieceDecoder FromJson(const JsonView& section);

  // Pieces are spelled in the byte alphabet of byte_level.h; otherwise as text, with <0xNN> for single bytes.
  bool byte_level() const { return byte_level_; }
  // Bytes of the piece spelled so. For a byte-level model the spelling itself where it leaves the alphabet.
  std::string Bytes(std::string_view spelling) const;

 private:
  bool byte_level_ = false;
  Replacement replacement_;  // where not byte-level
};

// The byte that a spelling <0xNN> stands for.
std::optional<char> ByteOfFallback(std::string_view spelling);

}  // namespace nla
