// Writes safetensors files. Reading them is safetensors.cc's.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/fail.h"
#include "weights/safetensors.h"

namespace nla {
namespace {

using Json = nlohmann::ordered_json;

// The header's JSON, padded with spaces so that the data section starts on a multiple of 8. `data_size` gets its size.
std::string HeaderText(std::span<const TensorSpec> tensors, const std::map<std::string, std::string>& metadata,
                       uint64_t* data_size) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  auto& entries = header.get_ref<Json::object_t&>();
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    NLA_CHECK(tensor.name != "__metadata__" && names.insert(tensor.name).second);
    const std::optional<uint64_t> size = CheckedProduct(tensor.shape, SizeOf(tensor.dtype));
    NLA_CHECK(size.has_value());
    Json entry;
    entry["dtype"] = Name(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {offset, offset + *size};
    entries.emplace_back(tensor.name, std::move(entry));
    offset += *size;
  }
  *data_size = offset;
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::span<const TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  uint64_t data_size = 0;
  const std::string header = HeaderText(tensors, metadata, &data_size);
  std::string length;
  for (size_t i = 0; i < 8; ++i) length += static_cast<char>(header.size() >> (8 * i) & 0xff);
  file_.Write(length);
  file_.Write(header);
  total_ = file_.size() + data_size;
}

void SafetensorsWriter::Append(std::span<const std::byte> bytes) {
  NLA_CHECK(bytes.size() <= total_ - file_.size());
  file_.Write(bytes);
}

void SafetensorsWriter::Commit() {
  NLA_CHECK(file_.size() == total_);
  file_.Commit();
}

void WriteSafetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const TensorView& view : tensors) {
    NLA_CHECK(view.bytes.size() == static_cast<uint64_t>(view.numel()) * SizeOf(view.dtype));
    specs.push_back({view.name, view.dtype, view.shape});
  }
  SafetensorsWriter writer(path, specs, metadata);
  for (const TensorView& view : tensors) writer.Append(view.bytes);
  writer.Commit();
}

}  // namespace nla
