// Collectives between the GPUs of the ranks, one GPU each, and the library that does them. Free of torch, so that the
// library is built from NCCL and the CUDA runtime alone, with whichever torch. Tensors are device_communicator.h's.
#pragma once

#include <cstddef>
#include <functional>

namespace nla {

// Not thread-safe. All ranks make the same calls in the same order. Errors are nla::Error and name the call that failed
// and the library's reason; after one nothing more can be done but to end all ranks.
class DeviceCollectives {
 public:
  virtual ~DeviceCollectives() = default;
  // Both take memory of the rank's device, and are put on `stream`, a cudaStream_t of that device: they come after what
  // it holds already, and return at once. Memory that is freed in the order of that stream may be freed at once too.
  //
  // The sum over ranks into the owner's values; the others' keep what they had.
  virtual void Reduce(float* values, size_t count, int owner, void* stream) = 0;
  // The owner's bytes to all.
  virtual void Broadcast(void* data, size_t bytes, int owner, void* stream) = 0;
  // Waits for all of the above. Only here is it noticed that another rank can no longer be reached.
  virtual void Finish() = 0;
};

// What a rank joins with. `from_first` gives rank 0's bytes to all, by another way than the devices'.
struct DeviceRank {
  int rank = 0;
  int size = 1;
  int device = 0;  // of those that the process sees; becomes the calling thread's current one
  std::function<void(void* data, size_t bytes)> from_first;
};

// What libnla_nccl.so exports under kDeviceModuleSymbol.
struct DeviceModule {
  int (*count)();                                 // devices that the process sees; an error where there is none
  DeviceCollectives* (*open)(const DeviceRank&);  // collective; the caller owns what it gets
};
inline constexpr const char* kDeviceModuleSymbol = "nla_nccl_module";

}  // namespace nla
