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

// Writes tensors (borrowed views) in the given order with 8-byte aligned data, atomically.
void WriteSafetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace nla
