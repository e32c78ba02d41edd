// Files: whole reads, memory maps, and atomic replacement (temporary name, fsync, rename). Leaves formats to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nla {

namespace fs = std::filesystem;

// Reads a whole file. Errors name the path and the system's reason. Refuses files over `limit` bytes.
std::string ReadFile(const fs::path& path, uint64_t limit = uint64_t{1} << 32);

// A read-only memory map. Movable; the bytes stay valid while the object lives. An empty file maps to an empty span.
class MappedFile {
 public:
  static MappedFile Open(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  MappedFile() = default;
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes to a temporary name beside `path`; Commit() fsyncs and renames over it. Destroyed without Commit, it removes
// the temporary file, so a failure leaves the old file as it was. Every write error (disk full) throws nla::Error.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void Write(std::span<const std::byte> bytes);
  void Write(std::string_view text);
  // Overwrites bytes written earlier (headers that are known only at the end).
  void WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  uint64_t size() const { return size_; }
  // For libraries that want to open the file themselves (Arrow): the temporary path. Call Commit() after they close it.
  const fs::path& temporary_path() const { return temporary_; }
  void Commit();

 private:
  fs::path path_;
  fs::path temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
  bool committed_ = false;
};

// AtomicFile in one call.
void WriteFileAtomically(const fs::path& path, std::string_view text);

// Builds a directory under a temporary name beside `path` and renames it into place; `path` must not exist or is
// replaced when `replace`. Destroyed without Commit, the temporary directory is removed.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const fs::path& path, bool replace = false);
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  ~AtomicDirectory();

  const fs::path& temporary_path() const { return temporary_; }
  void Commit();

 private:
  fs::path path_;
  fs::path temporary_;
  bool replace_;
  bool committed_ = false;
};

}  // namespace nla
