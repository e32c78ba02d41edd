// Shared by the tests of weight files: scratch directories, golden paths, error texts, and a maker of GGUF bytes that
// can lie about every length.
#pragma once

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/gguf.h"
#include "weights/tensor_view.h"

namespace nla {

// A directory of its own, removed at the end.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  fs::path operator/(const std::string& name) const { return path_ / name; }
  // Writes a file into the directory and returns its path.
  fs::path Put(const std::string& name, std::string_view bytes) const;
  std::vector<std::string> Names() const;  // of all entries, sorted

 private:
  fs::path path_;
};

fs::path Golden(const std::string& name);

// The message of the nla::Error that `action` throws; "" when it throws none. Any other exception passes through.
std::string ErrorOf(const std::function<void()>& action);

std::string_view Text(std::span<const std::byte> bytes);

// The bytes of a value as they lie in memory.
template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// Length of 8 bytes, then text.
std::string GgufString(std::string_view text);

// Puts a GGUF file together. Counts and offsets are right unless a member says otherwise.
struct GgufMaker {
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t tensor_count_lie = 0;  // added to the true count
  uint64_t pair_count_lie = 0;
  size_t alignment = 32;                     // of the data section's start
  std::string data = std::string(64, '\0');  // of all tensors

  // A metadata pair; `value` is its bytes.
  void Pair(std::string_view key, uint32_t type, std::string_view value);
  // Extents in the file's order: the row width first.
  void Tensor(std::string_view name, const std::vector<uint64_t>& extents, uint32_t type, uint64_t offset);
  std::string Bytes() const;

 private:
  std::string pairs_, tensors_;
  uint64_t pair_count_ = 0, tensor_count_ = 0;
};

}  // namespace nla
