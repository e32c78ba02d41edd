// Base64 (RFC 4648, padded), and the number formats that bodies carry in it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nla::serve {

// `field` names the text in errors.
std::string DecodeBase64(std::string_view text, const std::string& field);
std::string EncodeBase64(std::string_view bytes);

enum class FloatFormat { kFp32, kBf16 };

// Little-endian numbers. Errors: a length that is no multiple of the format's size.
std::vector<float> FloatsFromBytes(std::string_view bytes, FloatFormat format, const std::string& field);
std::string Fp32Bytes(std::span<const float> values);

}  // namespace nla::serve
