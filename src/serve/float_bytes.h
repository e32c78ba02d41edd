// The number formats that bodies carry as bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla::serve {

enum class FloatFormat { kFp32, kBf16 };

// Little-endian numbers; `field` names them in errors. Errors: a length that is no multiple of the format's size.
std::vector<float> FloatsFromBytes(std::string_view bytes, FloatFormat format, const std::string& field);
std::string Fp32Bytes(std::span<const float> values);

}  // namespace nla::serve
