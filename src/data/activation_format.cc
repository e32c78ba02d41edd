#include "data/activation_format.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "base/fail.h"

namespace nla {
namespace {

struct Known {
  ActivationFormat format;
  const char* name;
  const char* ending;
};
constexpr std::array<Known, 5> kKnown = {{{ActivationFormat::kParquet, "Parquet", ".parquet"},
                                          {ActivationFormat::kNpy, ".npy", ".npy"},
                                          {ActivationFormat::kNpz, ".npz", ".npz"},
                                          {ActivationFormat::kSafetensors, "safetensors", ".safetensors"},
                                          {ActivationFormat::kJsonl, "JSON lines", ".jsonl"}}};
constexpr size_t kHead = 4096;

// A length of 8 bytes that fits the file, then a JSON object.
bool LooksLikeSafetensors(std::string_view head, uint64_t size) {
  if (head.size() < 10 || head[8] != '{') return false;
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= static_cast<uint64_t>(static_cast<unsigned char>(head[i])) << 8 * i;
  return length <= size - 8;
}

}  // namespace

const char* NameOf(ActivationFormat format) {
  const auto known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.format == format; });
  NLA_CHECK(known != kKnown.end());
  return known->name;
}

std::optional<ActivationFormat> FormatByEnding(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  const auto known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.ending == ending; });
  return known == kKnown.end() ? std::nullopt : std::optional(known->format);
}

std::optional<ActivationFormat> FormatByMagic(std::span<const std::byte> bytes, uint64_t size) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (head.starts_with("PAR1")) return ActivationFormat::kParquet;
  if (head.starts_with("\x93NUMPY")) return ActivationFormat::kNpy;
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return ActivationFormat::kNpz;
  if (LooksLikeSafetensors(head, size)) return ActivationFormat::kSafetensors;
  const size_t first = head.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (head[first] == '[' || head[first] == '{')) return ActivationFormat::kJsonl;
  return std::nullopt;
}

std::optional<ActivationFormat> FormatOf(const std::filesystem::path& path) {
  std::array<char, kHead> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  const auto count = static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0));
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error) {
    if (const auto format = FormatByMagic(std::as_bytes(std::span(head.data(), count)), size)) return format;
  }
  return FormatByEnding(path);
}

}  // namespace nla
