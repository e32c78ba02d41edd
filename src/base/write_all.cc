// write() and pwrite() until nothing is left.
#include "base/write_all.h"

#include <unistd.h>

#include <cerrno>

#include "base/fail.h"

namespace nla {
namespace {

// `write_some(bytes)` returns what write() does.
template <typename WriteSome>
void Repeat(std::span<const std::byte> bytes, const std::filesystem::path& path, WriteSome&& write_some) {
  while (!bytes.empty()) {
    const ssize_t count = write_some(bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) FailErrno(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

}  // namespace

void WriteAll(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  Repeat(bytes, path, [&](std::span<const std::byte> rest) { return write(fd, rest.data(), rest.size()); });
}

void WriteAll(int fd, std::string_view text, const std::filesystem::path& path) {
  WriteAll(fd, std::as_bytes(std::span(text)), path);
}

void WriteAllAt(int fd, uint64_t offset, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const uint64_t end = offset + bytes.size();
  Repeat(bytes, path, [&](std::span<const std::byte> rest) {
    return pwrite(fd, rest.data(), rest.size(), static_cast<off_t>(end - rest.size()));
  });
}

}  // namespace nla
