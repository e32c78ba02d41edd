#include "data/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/fail.h"
#include "base/write_all.h"

namespace nla {
ScratchFile::ScratchFile(const std::filesystem::path& folder) : folder_(folder.empty() ? "." : folder) {
  std::error_code ignored;  // mkostemp says what is wrong
  std::filesystem::create_directories(folder_, ignored);
  std::string name = (folder_ / ".nla-scratch-XXXXXX").string();
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) FailErrno(folder_, "cannot create a scratch file");
  unlink(name.c_str());
}

ScratchFile::ScratchFile(ScratchFile&& other) noexcept
    : folder_(std::move(other.folder_)), fd_(std::exchange(other.fd_, -1)), map_(std::exchange(other.map_, {})) {}

ScratchFile::~ScratchFile() {
  if (!map_.empty()) munmap(map_.data(), map_.size());
  if (fd_ >= 0) close(fd_);
}

int ScratchFile::Duplicate() const {
  const int copy = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) FailErrno(folder_, "cannot open a scratch file");
  return copy;
}

void ScratchFile::Reserve(uint64_t size) {
  if (size == 0) return;
  if (const int reason = posix_fallocate(fd_, 0, static_cast<off_t>(size)); reason != 0) {
    FailErrno(folder_, "cannot reserve space for a scratch file", reason);
  }
}

void ScratchFile::Append(std::span<const std::byte> bytes) { WriteAll(fd_, bytes, folder_); }

std::span<std::byte> ScratchFile::Map() {
  NLA_CHECK(map_.empty());
  struct stat facts {};
  if (fstat(fd_, &facts) != 0) FailErrno(folder_, "cannot measure a scratch file");
  if (facts.st_size == 0) return map_;
  const auto size = static_cast<size_t>(facts.st_size);
  void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (address == MAP_FAILED) FailErrno(folder_, "cannot map a scratch file");
  madvise(address, size, MADV_RANDOM);  // rows are fetched from anywhere: reading ahead would be in vain
  map_ = {static_cast<std::byte*>(address), size};
  return map_;
}

ScratchArray::ScratchArray(const std::filesystem::path& folder, int64_t count) : file_(folder) {
  NLA_CHECK(count >= 0);
  file_.Reserve(static_cast<uint64_t>(count) * sizeof(int64_t));
  const auto bytes = file_.Map();
  values_ = {reinterpret_cast<int64_t*>(bytes.data()), static_cast<size_t>(count)};
}

}  // namespace nla
