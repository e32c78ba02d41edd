// Numbers between bytes and memory.
#include "serve/float_bytes.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/fail.h"
#include "weights/float_bits.h"

namespace nla::serve {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

}  // namespace

std::vector<float> FloatsFromBytes(std::string_view bytes, FloatFormat format, const std::string& field) {
  const size_t size = format == FloatFormat::kFp32 ? 4 : 2;
  if (bytes.size() % size != 0) {
    FailUsage({.where = field,
               .what = "is cut",
               .found = fmt::format("{} bytes", bytes.size()),
               .wanted = fmt::format("a multiple of {}", size)});
  }
  std::vector<float> values(bytes.size() / size);
  if (format == FloatFormat::kFp32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, 2);
    values[i] = FloatFromBf16(bits);
  }
  return values;
}

std::string Fp32Bytes(std::span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace nla::serve
