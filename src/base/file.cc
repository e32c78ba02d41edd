// Whole reads and memory maps over POSIX calls. Atomic replacement is in atomic_file.cc.
#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/fail.h"

namespace nla {
namespace {

// A descriptor open for reading, and the file's size.
class ReadHandle {
 public:
  explicit ReadHandle(const fs::path& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) FailErrno(path, "cannot open");
    struct stat status {};
    if (fstat(fd_, &status) != 0) {
      close(fd_);
      FailErrno(path, "cannot stat");
    }
    if (S_ISDIR(status.st_mode)) {
      close(fd_);
      Fail({.where = path.string(), .what = "is a directory", .wanted = "a file"});
    }
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ReadHandle(const ReadHandle&) = delete;
  ReadHandle& operator=(const ReadHandle&) = delete;
  ~ReadHandle() { close(fd_); }

  int fd() const { return fd_; }
  uint64_t size() const { return size_; }

 private:
  int fd_;
  uint64_t size_ = 0;
};

}  // namespace

std::string ReadFile(const fs::path& path, uint64_t limit) {
  const ReadHandle handle(path);
  const auto refuse = [&](uint64_t size) {
    Fail({.where = path.string(),
          .what = "file too large to read whole",
          .found = fmt::format("{} bytes", size),
          .wanted = fmt::format("at most {}", limit)});
  };
  if (handle.size() > limit) refuse(handle.size());
  // Pipes and /proc report size 0, so the end is where read() says it is.
  std::string text(handle.size() + 1, '\0');
  size_t filled = 0;
  while (true) {
    if (filled == text.size()) text.resize(text.size() * 2 + 65536);
    const ssize_t count = read(handle.fd(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) FailErrno(path, "cannot read");
    if (count == 0) break;
    filled += static_cast<size_t>(count);
    if (filled > limit) refuse(filled);
  }
  text.resize(filled);
  return text;
}

MappedFile MappedFile::Open(const fs::path& path) {
  const ReadHandle handle(path);
  MappedFile file;
  file.path_ = path;
  file.size_ = handle.size();
  if (file.size_ == 0) return file;
  void* data = mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, handle.fd(), 0);
  if (data == MAP_FAILED) {
    file.size_ = 0;
    FailErrno(path, "cannot map");
  }
  file.data_ = static_cast<const std::byte*>(data);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, size_t{0})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace nla
