// Memory for packed weights: large pieces of the system's large pages, which the weights of a model fill one after
// another. A pass reads all of them in this order, and reads ahead end where a page does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace nla::packed {

// Not thread-safe.
class PanelMemory {
 public:
  // `count` zeros at a 64-byte boundary. They stay until the last that was taken from their piece is gone.
  template <typename T>
  std::shared_ptr<T> Take(int64_t count) {
    const std::shared_ptr<std::byte> bytes = TakeBytes(static_cast<size_t>(count) * sizeof(T));
    return {bytes, reinterpret_cast<T*>(bytes.get())};
  }

 private:
  std::shared_ptr<std::byte> TakeBytes(size_t bytes);

  std::shared_ptr<std::byte> piece_;
  size_t size_ = 0, used_ = 0;  // bytes of it
};

}  // namespace nla::packed
