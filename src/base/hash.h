// SHA-256 and SHA-512 of bytes and files (OpenSSL).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace nla {

std::array<uint8_t, 32> Sha256(std::string_view bytes);
std::array<uint8_t, 64> Sha512(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);
std::string Sha256HexOfFile(const std::filesystem::path& path);
// What git names a file's content by: SHA-1 of "blob SIZE\0" and the bytes. Against damage, not against forgery.
std::string GitBlobSha1HexOfFile(const std::filesystem::path& path);

}  // namespace nla
