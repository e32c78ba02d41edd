// Reads safetensors headers. Rules: docs/formats/safetensors.md. Writing is safetensors_writer.cc's.
#include "weights/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "base/hash.h"
#include "weights/strict_json.h"

namespace nla {
namespace {

constexpr uint64_t kLongestHeader = 100'000'000;  // the limit of the safetensors library

// A whole number in [0, 2^63).
int64_t ReadCount(const nlohmann::json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    Fail({.where = where, .what = "not a count", .found = value.dump(), .wanted = "a whole number from 0 up"});
  }
  return value.get<int64_t>();
}

const nlohmann::json& Member(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) Fail({.where = where, .what = fmt::format("{} is missing", key)});
  return *it;
}

TensorView ReadTensor(const std::string& name, const nlohmann::json& entry, std::span<const std::byte> data,
                      const std::string& file) {
  const std::string where = fmt::format("{}: tensor {}", file, name);
  if (!entry.is_object()) Fail({.where = where, .what = "header entry is not an object", .found = entry.type_name()});
  TensorView view;
  view.name = name;
  const nlohmann::json& dtype = Member(entry, "dtype", where);
  if (!dtype.is_string()) Fail({.where = where, .what = "dtype is not a string", .found = dtype.dump()});
  view.dtype = ParseDType(dtype.get<std::string>(), where);
  const nlohmann::json& shape = Member(entry, "shape", where);
  if (!shape.is_array()) Fail({.where = where, .what = "shape is not a list", .found = shape.type_name()});
  const std::string shape_where = where + ": shape";
  for (const nlohmann::json& extent : shape) view.shape.push_back(ReadCount(extent, shape_where));
  const nlohmann::json& offsets = Member(entry, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    Fail({.where = where, .what = "data_offsets is not a list of two", .found = offsets.type_name()});
  }
  const auto begin = static_cast<uint64_t>(ReadCount(offsets[0], where + ": data_offsets"));
  const auto end = static_cast<uint64_t>(ReadCount(offsets[1], where + ": data_offsets"));
  if (begin > end || end > data.size()) {
    Fail({.where = where,
          .what = "data_offsets reach outside the file",
          .found = fmt::format("[{}, {}]", begin, end),
          .wanted = fmt::format("a range within {} bytes of data", data.size()),
          .mend = "The file is damaged or cut short; fetch it again"});
  }
  const std::optional<uint64_t> wanted = CheckedProduct(view.shape, SizeOf(view.dtype));
  if (!wanted || *wanted != end - begin) {
    Fail({.where = where,
          .what = "shape and data disagree",
          .found = fmt::format("{} bytes", end - begin),
          .wanted =
              wanted ? fmt::format("{} bytes for shape {}", *wanted, shape.dump()) : "a shape that fits in memory"});
  }
  view.bytes = data.subspan(begin, end - begin);
  return view;
}

// The format wants the tensors to cover the data section exactly: no overlap, no hole, nothing after the last.
void CheckCoverage(const std::vector<TensorView>& tensors, std::span<const std::byte> data, const std::string& file) {
  std::vector<const TensorView*> by_offset;
  by_offset.reserve(tensors.size());
  for (const TensorView& view : tensors) by_offset.push_back(&view);
  const auto position = [](const TensorView* view) {
    return std::pair(view->bytes.data(), view->bytes.data() + view->bytes.size());
  };
  std::sort(by_offset.begin(), by_offset.end(),
            [&](const TensorView* a, const TensorView* b) { return position(a) < position(b); });
  const std::byte* at = data.data();
  for (const TensorView* view : by_offset) {
    if (view->bytes.data() != at) {
      Fail({.where = fmt::format("{}: tensor {}", file, view->name),
            .what = view->bytes.data() < at ? "data overlaps the tensor before it" : "unused bytes before the data",
            .found = fmt::format("offset {}", view->bytes.data() - data.data()),
            .wanted = fmt::format("offset {}", at - data.data())});
    }
    at += view->bytes.size();
  }
  const auto left = static_cast<size_t>(data.data() + data.size() - at);
  if (left != 0) {
    Fail({.where = file,
          .what = "bytes after the last tensor",
          .found = fmt::format("{} bytes", left),
          .wanted = "none",
          .mend = "The file is damaged; fetch it again"});
  }
}

std::map<std::string, std::string> ReadMetadata(const nlohmann::json& entry, const std::string& file) {
  const std::string where = file + ": __metadata__";
  if (!entry.is_object()) Fail({.where = where, .what = "not an object", .found = entry.type_name()});
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string())
      Fail({.where = fmt::format("{}: {}", where, key), .what = "not a string", .found = value.dump()});
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// The header's text: 8 bytes of length (little-endian), then JSON.
std::string_view HeaderText(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() < 8) {
    Fail({.where = file,
          .what = "too short for a safetensors file",
          .found = fmt::format("{} bytes", bytes.size()),
          .wanted = "at least 8"});
  }
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<uint64_t>(bytes[i]);
  const uint64_t most = std::min<uint64_t>(bytes.size() - 8, kLongestHeader);
  if (length > most) {
    Fail({.where = file,
          .what = "header length reaches outside the file or its limit",
          .found = fmt::format("{} bytes", length),
          .wanted = fmt::format("at most {}", most),
          .mend = "The file is damaged, cut short, or not safetensors"});
  }
  return {reinterpret_cast<const char*>(bytes.data()) + 8, length};
}

}  // namespace

SafetensorsFile SafetensorsFile::Open(const std::filesystem::path& path) {
  SafetensorsFile file(MappedFile::Open(path));
  const std::string where = path.string();
  const std::span<const std::byte> bytes = file.map_.bytes();
  const std::string_view text = HeaderText(bytes, where);
  const nlohmann::json header = ParseStrictJson(text, where + ": header");
  const std::span<const std::byte> data = bytes.subspan(8 + text.size());
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      file.metadata_ = ReadMetadata(entry, where);
    } else {
      file.tensors_.push_back(ReadTensor(name, entry, data, where));
    }
  }
  CheckCoverage(file.tensors_, data, where);
  std::sort(file.tensors_.begin(), file.tensors_.end(),
            [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return file;
}

const TensorView* SafetensorsFile::Find(std::string_view name) const {
  const auto it = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const TensorView& view, std::string_view wanted) { return view.name < wanted; });
  return it != tensors_.end() && it->name == name ? &*it : nullptr;
}

std::string HashOfTensors(std::span<const SafetensorsFile> files) {
  std::map<std::string_view, const TensorView*> by_name;
  for (const SafetensorsFile& file : files) {
    for (const TensorView& view : file.tensors()) by_name.emplace(view.name, &view);
  }
  std::string lines;
  for (const auto& [name, view] : by_name) {
    const std::string_view bytes(reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size());
    lines += nlohmann::json({name, Name(view->dtype), view->shape, Sha256Hex(bytes)}).dump() + "\n";
  }
  return Sha256Hex(lines);
}

}  // namespace nla
