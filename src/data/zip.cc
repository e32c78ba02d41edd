// Layout after PKWARE's APPNOTE 6.3: local headers with data, then the central directory, then its end record.
#include "data/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "data/scratch_file.h"

namespace nla {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50;
constexpr uint32_t kDirectoryMagic = 0x02014b50;
constexpr uint32_t kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50;
constexpr uint32_t kLocator64Magic = 0x07064b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kEntrySize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64Size = 56;
constexpr size_t kLocatorSize = 20;
constexpr size_t kLongestComment = 65535;
constexpr uint64_t kMostExpansion = 1032;  // deflate cannot pack tighter

[[noreturn]] void Bad(const InputBytes& archive, const std::string& what) {
  Fail({.where = archive.name,
        .what = "zip: " + what,
        .mend = "The file is damaged or was cut short: copy or write it again"});
}

// Bytes of the archive, or an error where they are not there.
std::span<const std::byte> At(const InputBytes& archive, uint64_t offset, uint64_t length) {
  if (offset > archive.bytes.size() || length > archive.bytes.size() - offset)
    Bad(archive, "a part lies outside the file");
  return archive.bytes.subspan(offset, length);
}

uint64_t Number(std::span<const std::byte> bytes, size_t offset, size_t size) {
  NLA_CHECK(offset + size <= bytes.size() && size <= 8);
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(bytes[offset + i]) << 8 * i;
  return value;
}

struct Directory {
  uint64_t offset = 0, size = 0, count = 0;
};

Directory FindDirectory(const InputBytes& archive) {
  const uint64_t total = archive.bytes.size();
  if (total < kEndSize) Bad(archive, "too short for an archive");
  const uint64_t first = total - std::min<uint64_t>(total, kEndSize + kLongestComment);
  uint64_t end = total - kEndSize;
  while (Number(archive.bytes, end, 4) != kEndMagic) {
    if (end == first) Bad(archive, "no directory at its end");
    --end;
  }
  const auto record = At(archive, end, kEndSize);
  Directory directory{Number(record, 16, 4), Number(record, 12, 4), Number(record, 10, 2)};
  if (end >= kLocatorSize && Number(archive.bytes, end - kLocatorSize, 4) == kLocator64Magic) {
    const auto record64 = At(archive, Number(archive.bytes, end - kLocatorSize + 8, 8), kEnd64Size);
    if (Number(record64, 0, 4) != kEnd64Magic) Bad(archive, "its zip64 record is not where it should be");
    directory = {Number(record64, 48, 8), Number(record64, 40, 8), Number(record64, 32, 8)};
  }
  if (directory.count > directory.size / kEntrySize)
    Bad(archive, "its directory lists more members than it has room for");
  return directory;
}

// Sizes and places of 2^32 - 1 stand in the zip64 extra field, in this order.
void ReadZip64(const InputBytes& archive, std::span<const std::byte> extra, ZipMember& member) {
  while (extra.size() >= 4) {
    const uint64_t length = Number(extra, 2, 2);
    if (length > extra.size() - 4) Bad(archive, "a broken extra field");
    auto field = extra.subspan(4, length);
    if (Number(extra, 0, 2) == 1) {
      for (uint64_t* value : {&member.size, &member.packed, &member.header}) {
        if (*value != UINT32_MAX) continue;
        if (field.size() < 8) Bad(archive, "a broken zip64 field");
        *value = Number(field, 0, 8);
        field = field.subspan(8);
      }
      return;
    }
    extra = extra.subspan(4 + length);
  }
}

void Inflate(const InputBytes& archive, const ZipMember& member, std::span<const std::byte> packed,
             std::span<std::byte> out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) Bad(archive, "no memory to unpack");
  constexpr size_t kStep = size_t{1} << 30;  // zlib counts in 32 bits
  size_t taken = 0;
  size_t made = 0;
  int state = Z_OK;
  while (state == Z_OK) {
    const size_t in = std::min(kStep, packed.size() - taken);
    const size_t room = std::min(kStep, out.size() - made);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + taken));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + made);
    stream.avail_out = static_cast<uInt>(room);
    state = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += room - stream.avail_out;
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END || made != out.size()) {
    Bad(archive, fmt::format("member {} does not unpack to the {} bytes it states", member.name, member.size));
  }
}

void CheckCrc(const InputBytes& archive, const ZipMember& member, std::span<const std::byte> bytes) {
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) == member.crc) return;
  Bad(archive, fmt::format("the checksum of member {} is wrong", member.name));
}

}  // namespace

std::vector<ZipMember> ListZip(const InputBytes& archive) {
  const Directory directory = FindDirectory(archive);
  auto rest = At(archive, directory.offset, directory.size);
  std::vector<ZipMember> members;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (rest.size() < kEntrySize || Number(rest, 0, 4) != kDirectoryMagic) Bad(archive, "a broken directory");
    const uint64_t name = Number(rest, 28, 2);
    const uint64_t extra = Number(rest, 30, 2);
    const uint64_t whole = kEntrySize + name + extra + Number(rest, 32, 2);
    if (whole > rest.size()) Bad(archive, "a broken directory");
    ZipMember member{.name = std::string(reinterpret_cast<const char*>(rest.data()) + kEntrySize, name),
                     .method = static_cast<uint16_t>(Number(rest, 10, 2)),
                     .crc = static_cast<uint32_t>(Number(rest, 16, 4)),
                     .packed = Number(rest, 20, 4),
                     .size = Number(rest, 24, 4),
                     .header = Number(rest, 42, 4)};
    if ((Number(rest, 8, 2) & 1) != 0) Bad(archive, fmt::format("member {} is encrypted", member.name));
    ReadZip64(archive, rest.subspan(kEntrySize + name, extra), member);
    members.push_back(std::move(member));
    rest = rest.subspan(whole);
  }
  return members;
}

InputBytes ReadZipMember(const InputBytes& archive, const ZipMember& member) {
  const auto local = At(archive, member.header, kLocalSize);
  if (Number(local, 0, 4) != kLocalMagic) Bad(archive, fmt::format("member {} is not where it should be", member.name));
  const uint64_t begin = member.header + kLocalSize + Number(local, 26, 2) + Number(local, 28, 2);
  const auto packed = At(archive, begin, member.packed);
  const std::string name = fmt::format("{}: {}", archive.name, member.name);
  if (member.method == 0) {
    if (member.packed != member.size) Bad(archive, fmt::format("member {} has two sizes", member.name));
    CheckCrc(archive, member, packed);
    return {.bytes = packed, .keeper = archive.keeper, .name = name};
  }
  if (member.method != Z_DEFLATED) {
    Fail({.where = name,
          .what = "packed in an unsupported way",
          .found = fmt::format("method {}", member.method),
          .wanted = "0 (stored) or 8 (deflated)"});
  }
  if (member.size / kMostExpansion > member.packed)
    Bad(archive, fmt::format("member {} states an impossible size", member.name));
  auto scratch = std::make_shared<ScratchFile>(std::filesystem::temp_directory_path());
  scratch->Reserve(member.size);
  const auto bytes = scratch->Map();
  Inflate(archive, member, packed, bytes);
  CheckCrc(archive, member, bytes);
  return {.bytes = bytes, .keeper = scratch, .name = name};
}

}  // namespace nla
