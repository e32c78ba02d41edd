// Both ways in which vocabularies spell bytes.
#include "text/piece_decoder.h"

#include <charconv>

#include "text/byte_level.h"

namespace nla {
namespace {

constexpr std::string_view kSentencePiece = "ByteLevel, or a Sequence of Replace, ByteFallback and Fuse";

}  // namespace

std::optional<char> ByteOfFallback(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return std::nullopt;
  uint8_t byte = 0;
  const std::from_chars_result read = std::from_chars(spelling.data() + 3, spelling.data() + 5, byte, 16);
  if (read.ec != std::errc() || read.ptr != spelling.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

PieceDecoder PieceDecoder::FromJson(const JsonView& section) {
  PieceDecoder made;
  if (section.value().is_null()) section.Unsupported(std::string(kSentencePiece));
  const JsonView type = section.At("type");
  if (type.String() == "ByteLevel") {
    made.byte_level_ = true;
    return made;
  }
  if (type.String() != "Sequence") type.Unsupported(std::string(kSentencePiece));
  constexpr std::string_view kOrder[] = {"Replace", "ByteFallback", "Fuse"};
  const JsonView list = section.At("decoders").Array();
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonView member_type = list.At(i).At("type");
    if (i >= std::size(kOrder) || member_type.String() != kOrder[i])
      member_type.Unsupported(std::string(kSentencePiece));
  }
  if (list.size() != std::size(kOrder)) list.Unsupported(std::string(kSentencePiece));
  made.replacement_ = ReadReplacement(list.At(size_t{0}));
  return made;
}

std::string PieceDecoder::Bytes(std::string_view spelling) const {
  if (byte_level_) return BytesOfSpelling(spelling).value_or(std::string(spelling));
  std::string text;
  const auto& [from, to] = replacement_;
  for (size_t at; (at = spelling.find(from)) != spelling.npos; spelling.remove_prefix(at + from.size())) {
    text.append(spelling.substr(0, at));
    text.append(to);
  }
  text.append(spelling);
  if (const std::optional<char> byte = ByteOfFallback(text)) return std::string(1, *byte);
  return text;
}

}  // namespace nla
