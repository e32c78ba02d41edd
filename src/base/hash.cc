// SHA-2, and SHA-1 where git has it, through OpenSSL's EVP interface.
#include "base/hash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "base/fail.h"

namespace nla {
namespace {

std::string Hex(std::span<const uint8_t> digest) {
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const uint8_t byte : digest) fmt::format_to(std::back_inserter(hex), "{:02x}", byte);
  return hex;
}

// Of `before` and the file's bytes.
std::string DigestOfFile(const std::filesystem::path& path, const EVP_MD* kind, std::string_view before) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) FailErrno(path, "cannot open");
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), kind, nullptr);
  EVP_DigestUpdate(context.get(), before.data(), before.size());
  std::vector<char> buffer(size_t{1} << 20);
  ssize_t count = 0;
  while ((count = read(fd, buffer.data(), buffer.size())) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(count));
  }
  const int read_error = count < 0 ? errno : 0;
  close(fd);
  if (read_error != 0) FailErrno(path, "cannot read", read_error);
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  return Hex(std::span(digest).first(size));
}

}  // namespace

std::array<uint8_t, 32> Sha256(std::string_view bytes) {
  std::array<uint8_t, 32> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::array<uint8_t, 64> Sha512(std::string_view bytes) {
  std::array<uint8_t, 64> digest;
  SHA512(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::string Sha256Hex(std::string_view bytes) { return Hex(Sha256(bytes)); }

std::string Sha256HexOfFile(const std::filesystem::path& path) { return DigestOfFile(path, EVP_sha256(), ""); }

std::string GitBlobSha1HexOfFile(const std::filesystem::path& path) {
  const auto size = std::filesystem::file_size(path);
  return DigestOfFile(path, EVP_sha1(), fmt::format("blob {}", size) + std::string(1, '\0'));
}

}  // namespace nla
