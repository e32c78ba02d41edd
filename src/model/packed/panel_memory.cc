// What is never written of a piece takes no memory, so that pieces may be generous.
#include "model/packed/panel_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nla::packed {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kPage = size_t{2} << 20;    // a large page
constexpr size_t kPiece = size_t{64} << 20;  // the least that is asked for at once

size_t RoundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

std::shared_ptr<std::byte> MakePiece(size_t bytes) {
  void* const memory = std::aligned_alloc(kPage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  // Small pages do as well, only slower.
  static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
#endif
  return {static_cast<std::byte*>(memory), &std::free};
}

}  // namespace

std::shared_ptr<std::byte> PanelMemory::TakeBytes(size_t bytes) {
  const size_t taken = RoundUp(bytes, kAlign);
  if (piece_ == nullptr || taken > size_ - used_) {
    size_ = std::max(kPiece, RoundUp(taken, kPage));
    piece_ = MakePiece(size_);
    used_ = 0;
  }
  std::byte* const begin = piece_.get() + used_;
  used_ += taken;
  std::memset(begin, 0, taken);
  return {piece_, begin};
}

}  // namespace nla::packed
