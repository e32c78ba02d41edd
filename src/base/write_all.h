// Writing whole buffers to a descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace nla {

// All bytes, where the descriptor stands or appends; interrupted and short writes go on. Errors (disk full) name `path`
// and the system's reason.
void WriteAll(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path);
void WriteAll(int fd, std::string_view text, const std::filesystem::path& path);
// The same from `offset` on, of a descriptor that does not append.
void WriteAllAt(int fd, uint64_t offset, std::span<const std::byte> bytes, const std::filesystem::path& path);

}  // namespace nla
