// libnla_nccl.so: collectives between GPUs over NCCL. A library of its own, so that the program runs where there is no
// CUDA; it links neither torch nor MPI.
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/fail.h"
#include "base/log.h"
#include "train/collectives/device_collectives.h"

namespace nla {
namespace {

// How often a wait looks whether the other ranks are still there; a collective takes longer.
constexpr std::chrono::microseconds kPoll(20);

void CheckCuda(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  Fail({.where = "CUDA", .what = fmt::format("{} failed", call), .found = cudaGetErrorString(error)});
}

// What the code means and, where the library has kept it, what happened: "invalid usage (Duplicate GPU detected : …)".
std::string Reason(ncclResult_t result, ncclComm_t comm) {
  std::string reason = ncclGetErrorString(result);
  std::string last = ncclGetLastError(comm);
  while (!last.empty() && last.back() == '\n') last.pop_back();
  std::replace(last.begin(), last.end(), '\n', ' ');
  if (!last.empty()) reason += " (" + last + ")";
  return reason;
}

[[noreturn]] void FailNccl(std::string_view call, const std::string& reason) {
  Fail({.where = "NCCL",
        .what = fmt::format("{} failed", call),
        .found = reason,
        .mend = "NCCL says more with NCCL_DEBUG=INFO (mpirun -x NCCL_DEBUG=INFO)"});
}

void CheckNccl(ncclResult_t result, std::string_view call, ncclComm_t comm = nullptr) {
  if (result != ncclSuccess) FailNccl(call, Reason(result, comm));
}

class NcclCollectives : public DeviceCollectives {
 public:
  explicit NcclCollectives(const DeviceRank& place) {
    CheckCuda(cudaSetDevice(place.device), "cudaSetDevice");
    ncclUniqueId meeting_point{};
    if (place.rank == 0) CheckNccl(ncclGetUniqueId(&meeting_point), "ncclGetUniqueId");
    place.from_first(&meeting_point, sizeof(meeting_point));
    CheckNccl(ncclCommInitRank(&comm_, place.size, meeting_point, place.rank), "ncclCommInitRank");
  }
  NcclCollectives(const NcclCollectives&) = delete;
  NcclCollectives& operator=(const NcclCollectives&) = delete;

  // Something unfinished means that an error is on its way up: what the other ranks should add to it may never come.
  ~NcclCollectives() override {
    if (comm_ == nullptr) return;
    const ncclResult_t left = pending_ ? ncclCommAbort(comm_) : ncclCommDestroy(comm_);
    if (left != ncclSuccess) spdlog::warn("NCCL: leaving failed: {}", Reason(left, nullptr));
  }

  // NCCL looks at the receiving memory of the owner alone, and does it in place where it is the sent one.
  void Reduce(float* values, size_t count, int owner, void* stream) override {
    const cudaStream_t on = Enter(stream);
    CheckNccl(ncclReduce(values, values, count, ncclFloat32, ncclSum, owner, comm_, on), "ncclReduce", comm_);
  }

  void Broadcast(void* data, size_t bytes, int owner, void* stream) override {
    const cudaStream_t on = Enter(stream);
    CheckNccl(ncclBroadcast(data, data, bytes, ncclUint8, owner, comm_, on), "ncclBroadcast", comm_);
  }

  // A kernel whose peer is gone never ends, so a plain cudaStreamSynchronize would not either.
  void Finish() override {
    if (!pending_) return;
    cudaError_t state = cudaStreamQuery(stream_);
    for (; state == cudaErrorNotReady; state = cudaStreamQuery(stream_)) {
      static_cast<void>(cudaGetLastError());  // it was kept there, and is none
      CheckPeers();
      std::this_thread::sleep_for(kPoll);
    }
    CheckCuda(state, "a collective, or what came before it on its stream,");
    CheckPeers();
    pending_ = false;
  }

 private:
  // One stream at a time: on two, NCCL's kernels could start in another order than on the other ranks.
  cudaStream_t Enter(void* stream) {
    const auto on = static_cast<cudaStream_t>(stream);
    NLA_CHECK(comm_ != nullptr);  // no call after an error
    if (on != stream_) Finish();
    stream_ = on;
    pending_ = true;
    return on;
  }

  void CheckPeers() {
    ncclResult_t state = ncclSuccess;
    CheckNccl(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError", comm_);
    if (state == ncclSuccess || state == ncclInProgress) return;
    const std::string reason = Reason(state, comm_);
    // Ends the kernels that wait.
    const ncclResult_t aborted = ncclCommAbort(std::exchange(comm_, nullptr));
    if (aborted != ncclSuccess) spdlog::warn("NCCL: ncclCommAbort failed: {}", Reason(aborted, nullptr));
    FailNccl("a collective", reason);
  }

  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  bool pending_ = false;  // something was put on stream_ since the last Finish
};

int Count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  FailUsage({.where = "--device",
             .what = "there is no CUDA device here",
             .found = error == cudaSuccess ? "none" : fmt::format("cudaGetDeviceCount: {}", cudaGetErrorString(error)),
             .mend = "Look what nvidia-smi and CUDA_VISIBLE_DEVICES say, or give --device cpu"});
}

}  // namespace
}  // namespace nla

extern "C" const nla::DeviceModule nla_nccl_module{
    .count = nla::Count,
    .open = [](const nla::DeviceRank& place) -> nla::DeviceCollectives* { return new nla::NcclCollectives(place); }};
