// Atomic replacement of files and directories: a temporary name beside the target, fsync, rename, fsync of the parent.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "base/fail.h"
#include "base/file.h"
#include "base/write_all.h"

namespace nla {
namespace {

// Unique within the machine (process id) and the process (a count), so that two writers never share a temporary name.
fs::path TemporaryBeside(const fs::path& path) {
  static std::atomic<uint64_t> count{0};
  fs::path name = path.filename();
  if (name.empty()) Fail({.where = path.string(), .what = "names no file to write"});
  return path.parent_path() / fmt::format(".{}.tmp.{}.{}", name.string(), getpid(), count++);
}

// "out/" and "out" name the same directory.
fs::path WithoutTrailingSlash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

void CreateParent(const fs::path& path) {
  const fs::path parent = path.parent_path();
  std::error_code error;
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) Fail({.where = parent.string(), .what = "cannot create the directory: " + error.message()});
}

void SyncDirectory(const fs::path& directory) {
  const fs::path target = directory.empty() ? fs::path(".") : directory;
  const int fd = open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // some file systems refuse; the rename itself has happened
  fsync(fd);
  close(fd);
}

void SyncTree(const fs::path& root) {
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) FailErrno(entry.path(), "cannot open");
    const int result = fsync(fd);
    close(fd);
    if (result != 0) FailErrno(entry.path(), "cannot flush to disk");
  }
  SyncDirectory(root);
}

}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  if (fs::is_directory(path_)) Fail({.where = path_.string(), .what = "is a directory", .wanted = "a file to write"});
  CreateParent(path_);
  temporary_ = TemporaryBeside(path_);
  fd_ = open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) FailErrno(path_, "cannot write");
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!committed_) unlink(temporary_.c_str());
}

void AtomicFile::Write(std::span<const std::byte> bytes) {
  const uint64_t offset = size_;
  size_ += bytes.size();
  WriteAt(offset, bytes);
}

void AtomicFile::Write(std::string_view text) { Write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  NLA_CHECK(offset + bytes.size() <= size_);
  WriteAllAt(fd_, offset, bytes, path_);
}

void AtomicFile::Commit() {
  NLA_CHECK(!committed_);
  if (fsync(fd_) != 0) FailErrno(path_, "cannot flush to disk");
  const int closed = close(fd_);
  fd_ = -1;
  if (closed != 0) FailErrno(path_, "cannot close");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) FailErrno(path_, "cannot replace");
  committed_ = true;
  SyncDirectory(path_.parent_path());
}

void WriteFileAtomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.Write(text);
  file.Commit();
}

AtomicDirectory::AtomicDirectory(const fs::path& path, bool replace)
    : path_(WithoutTrailingSlash(path)), replace_(replace) {
  if (!replace_ && fs::exists(path_)) {
    Fail({.where = path_.string(), .what = "already exists", .mend = "Remove it or name another output"});
  }
  CreateParent(path_);
  temporary_ = TemporaryBeside(path_);
  if (mkdir(temporary_.c_str(), 0777) != 0) FailErrno(path_, "cannot create the directory");
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void AtomicDirectory::Commit() {
  NLA_CHECK(!committed_);
  SyncTree(temporary_);
  // rename(2) replaces only an empty directory: move the old one aside first, and delete it when the new one stands.
  fs::path old;
  if (replace_ && fs::exists(path_)) {
    old = TemporaryBeside(path_);
    if (rename(path_.c_str(), old.c_str()) != 0) FailErrno(path_, "cannot replace");
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    if (!old.empty()) rename(old.c_str(), path_.c_str());
    errno = reason;
    FailErrno(path_, "cannot replace");
  }
  committed_ = true;
  SyncDirectory(path_.parent_path());
  std::error_code ignored;
  if (!old.empty()) fs::remove_all(old, ignored);
}

}  // namespace nla
