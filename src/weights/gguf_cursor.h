// Walks the head of a GGUF file value by value; nothing is read or reserved before it is known to lie in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <type_traits>

namespace nla {

class GgufCursor {
 public:
  // Borrows the bytes. `file` names the file in errors.
  GgufCursor(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  // `what` names the field in errors, here and below.
  template <typename T>
  T Read(const std::string& what) {
    static_assert(std::is_arithmetic_v<T>);
    Need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  // A length of 8 bytes, then UTF-8.
  std::string ReadString(const std::string& what);
  // A count of things that take at least `least` bytes each, so that what is left of the file bounds it.
  uint64_t ReadCount(uint64_t least, const std::string& what);
  // A metadata value with its type number before it.
  nlohmann::json ReadTypedValue(const std::string& what);

  uint64_t position() const { return at_; }
  const std::string& file() const { return file_; }

 private:
  void Need(uint64_t count, const std::string& what) const;
  nlohmann::json ReadScalar(uint32_t type, const std::string& what);
  nlohmann::json ReadArray(int depth, const std::string& what);

  std::span<const std::byte> bytes_;
  std::string file_;
  uint64_t at_ = 0;
  uint64_t elements_ = 0;  // array elements read so far, in all metadata
};

}  // namespace nla
