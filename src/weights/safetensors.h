// safetensors files: header checked in full before any length is believed, tensors handed out as views of a memory map.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "weights/tensor_view.h"

namespace nla {

class SafetensorsFile {
 public:
  static SafetensorsFile Open(const std::filesystem::path& path);

  const std::vector<TensorView>& tensors() const { return tensors_; }  // sorted by name; views live as long as this
  const TensorView* Find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return map_.path(); }

 private:
  explicit SafetensorsFile(MappedFile map) : map_(std::move(map)) {}
  MappedFile map_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// sha256 over one JSON line [name, dtype, shape, sha256 of the bytes] a tensor, sorted by name: the same however the
// tensors are spread over files. Reads every byte.
std::string HashOfTensors(std::span<const SafetensorsFile> files);

// What a writer must know of a tensor before its bytes come.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // row-major
};

// Writes a file piece by piece in constant memory: the header first, then the bytes of the tensors in the given order.
// The data section is 8-byte aligned and has no holes, so put wider element types first. Atomic as AtomicFile is.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::span<const TensorSpec> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  // The next bytes of the data section; a call may carry part of a tensor.
  void Append(std::span<const std::byte> bytes);
  void Commit();

 private:
  AtomicFile file_;
  uint64_t total_ = 0;  // bytes that the whole file must have
};

// SafetensorsWriter in one call, for tensors (borrowed views) that are all at hand.
void WriteSafetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace nla
