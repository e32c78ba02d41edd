// Disk space for data that does not fit in memory: a nameless file (a killed process leaves nothing behind), and an
// array in one. Failing to reserve the space is an error at once, not a signal later.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace nla {

// Movable owner of the file and of at most one map of it.
class ScratchFile {
 public:
  // Lies in `folder`, which is made when it is not there; gone when the object is.
  explicit ScratchFile(const std::filesystem::path& folder);
  ScratchFile(ScratchFile&& other) noexcept;
  ScratchFile& operator=(ScratchFile&&) = delete;
  ~ScratchFile();

  // A second descriptor of the same file, for a library that closes what it is given.
  int Duplicate() const;
  // Reserves `size` bytes of disk.
  void Reserve(uint64_t size);
  // Writes after what was appended before.
  void Append(std::span<const std::byte> bytes);
  // Maps the file as it is now, readable and writable.
  std::span<std::byte> Map();

 private:
  std::filesystem::path folder_;
  int fd_ = -1;
  std::span<std::byte> map_;
};

// `count` int64 values on disk: the order of the rows of a table of any size, in little memory.
class ScratchArray {
 public:
  ScratchArray(const std::filesystem::path& folder, int64_t count);
  std::span<int64_t> values() { return values_; }

 private:
  ScratchFile file_;
  std::span<int64_t> values_;
};

}  // namespace nla
