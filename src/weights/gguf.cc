// The layout of a GGUF file: header, metadata, tensor table, data. Rules: docs/formats/gguf.md. Metadata values are
// gguf_cursor.cc's, block formats are dequantize.cc's.
#include "weights/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "base/fail.h"
#include "weights/gguf_cursor.h"
#include "weights/tensor_view.h"

namespace nla {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kLargestAlignment = uint64_t{1} << 20;
constexpr uint32_t kMostAxes = 4;
constexpr uint64_t kLeastPair = 8 + 4 + 1;            // key length, value type, value
constexpr uint64_t kLeastTensor = 8 + 4 + 8 + 4 + 8;  // name length, axes, one axis, type, offset

struct TensorEntry {
  GgufTensor tensor;  // bytes still empty
  uint64_t offset = 0;
  uint64_t size = 0;
};

void CheckHeader(GgufCursor& cursor) {
  const auto magic = cursor.Read<uint32_t>("header");
  if (magic != kMagic) {
    Fail(
        {.where = cursor.file(), .what = "not a GGUF file", .found = fmt::format("{:#010x}", magic), .wanted = "GGUF"});
  }
  const auto version = cursor.Read<uint32_t>("version");
  if (version == 2 || version == 3) return;
  Fail({.where = cursor.file() + ": version",
        .what = (version & 0xffff) == 0 ? "a big-endian GGUF file" : "unsupported GGUF version",
        .found = std::to_string(version),
        .wanted = "2 or 3, little-endian"});
}

nlohmann::json ReadMetadata(GgufCursor& cursor, uint64_t count) {
  nlohmann::json metadata = nlohmann::json::object();
  for (uint64_t i = 0; i < count; ++i) {
    const std::string key = cursor.ReadString(fmt::format("metadata key {}", i));
    nlohmann::json value = cursor.ReadTypedValue(key);
    if (!metadata.emplace(key, std::move(value)).second) {
      Fail({.where = cursor.file(), .what = "duplicate metadata key", .found = key});
    }
  }
  return metadata;
}

uint64_t Alignment(const nlohmann::json& metadata, const std::string& file) {
  const auto it = metadata.find("general.alignment");
  if (it == metadata.end()) return kDefaultAlignment;
  const uint64_t alignment = it->is_number_unsigned() ? it->get<uint64_t>() : 0;
  if (!std::has_single_bit(alignment) || alignment > kLargestAlignment) {
    Fail({.where = file + ": general.alignment",
          .what = "not a sensible alignment",
          .found = it->dump(),
          .wanted = fmt::format("a power of two up to {}", kLargestAlignment)});
  }
  return alignment;
}

std::vector<int64_t> ReadShape(GgufCursor& cursor, const std::string& what) {
  const std::string where = fmt::format("{}: {}", cursor.file(), what);
  const auto axes = cursor.Read<uint32_t>(what);
  if (axes < 1 || axes > kMostAxes) {
    Fail({.where = where, .what = "number of axes", .found = std::to_string(axes), .wanted = "1 to 4"});
  }
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < axes; ++i) {
    const auto extent = cursor.Read<uint64_t>(what);
    if (extent < 1 || extent > static_cast<uint64_t>(INT64_MAX)) {
      Fail({.where = where, .what = "extent of an axis", .found = std::to_string(extent), .wanted = "1 or more"});
    }
    shape.insert(shape.begin(), static_cast<int64_t>(extent));
  }
  return shape;
}

// Bytes of the tensor's values, from its shape and type.
uint64_t DataSize(const GgufTensor& tensor, const GgmlTypeFacts& facts, const std::string& where) {
  if (tensor.shape.back() % facts.values != 0) {
    Fail({.where = where,
          .what = fmt::format("row width for {}", facts.name),
          .found = std::to_string(tensor.shape.back()),
          .wanted = fmt::format("a multiple of {}", facts.values)});
  }
  std::vector<int64_t> blocks = tensor.shape;
  blocks.back() /= facts.values;
  const std::optional<uint64_t> size = CheckedProduct(blocks, static_cast<uint64_t>(facts.bytes));
  if (!size)
    Fail({.where = where,
          .what = "a shape too large for any file",
          .found = fmt::format("{}", tensor.shape.size()) + " axes"});
  return *size;
}

TensorEntry ReadTensorEntry(GgufCursor& cursor, uint64_t index) {
  TensorEntry entry;
  entry.tensor.name = cursor.ReadString(fmt::format("name of tensor {}", index));
  const std::string what = "tensor " + entry.tensor.name;
  const std::string where = fmt::format("{}: {}", cursor.file(), what);
  entry.tensor.shape = ReadShape(cursor, what);
  const auto type = cursor.Read<uint32_t>(what);
  const GgmlTypeFacts* facts = FindGgmlType(type);
  if (facts == nullptr) {
    Fail({.where = where,
          .what = "unsupported tensor type",
          .found = GgmlTypeName(type),
          .wanted = ReadableGgmlTypes()});
  }
  entry.tensor.type = facts->type;
  entry.size = DataSize(entry.tensor, *facts, where);
  entry.offset = cursor.Read<uint64_t>(what);
  return entry;
}

// Every tensor starts aligned, lies in the data section, and shares no byte with another.
void CheckPlaces(const std::vector<TensorEntry>& entries, uint64_t data_size, uint64_t alignment,
                 const std::string& file) {
  std::vector<const TensorEntry*> by_offset;
  by_offset.reserve(entries.size());
  for (const TensorEntry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const TensorEntry* a, const TensorEntry* b) { return a->offset < b->offset; });
  uint64_t end = 0;
  for (const TensorEntry* entry : by_offset) {
    const std::string where = fmt::format("{}: tensor {}", file, entry->tensor.name);
    const std::string found = fmt::format("offset {}, {} bytes", entry->offset, entry->size);
    if (entry->offset % alignment != 0) {
      Fail({.where = where,
            .what = "data is not aligned",
            .found = found,
            .wanted = fmt::format("a multiple of {}", alignment)});
    }
    if (entry->offset > data_size || entry->size > data_size - entry->offset) {
      Fail({.where = where,
            .what = "data reaches outside the file",
            .found = found,
            .wanted = fmt::format("a range within {} bytes of data", data_size),
            .mend = "The file is damaged or cut short; fetch it again"});
    }
    if (entry->offset < end) Fail({.where = where, .what = "data overlaps another tensor's", .found = found});
    end = entry->offset + entry->size;
  }
}

}  // namespace

GgufFile GgufFile::Open(const std::filesystem::path& path) {
  GgufFile file(MappedFile::Open(path));
  const std::span<const std::byte> bytes = file.map_.bytes();
  GgufCursor cursor(bytes, path.string());
  CheckHeader(cursor);
  const uint64_t tensor_count = cursor.ReadCount(kLeastTensor, "tensor count");
  const uint64_t pair_count = cursor.ReadCount(kLeastPair, "metadata count");
  file.metadata_ = ReadMetadata(cursor, pair_count);

  std::vector<TensorEntry> entries;
  std::set<std::string> names;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    entries.push_back(ReadTensorEntry(cursor, i));
    const std::string& name = entries.back().tensor.name;
    if (!names.insert(name).second) Fail({.where = path.string(), .what = "duplicate tensor name", .found = name});
  }
  const uint64_t alignment = Alignment(file.metadata_, path.string());
  const uint64_t data_begin = (cursor.position() + alignment - 1) / alignment * alignment;
  const uint64_t data_size = data_begin < bytes.size() ? bytes.size() - data_begin : 0;
  CheckPlaces(entries, data_size, alignment, path.string());
  for (TensorEntry& entry : entries) {
    entry.tensor.bytes = bytes.subspan(data_begin + entry.offset, entry.size);
    file.tensors_.push_back(std::move(entry.tensor));
  }
  return file;
}

const GgufTensor* GgufFile::Find(std::string_view name) const {
  const auto it = std::find_if(tensors_.begin(), tensors_.end(), [&](const GgufTensor& t) { return t.name == name; });
  return it == tensors_.end() ? nullptr : &*it;
}

}  // namespace nla
