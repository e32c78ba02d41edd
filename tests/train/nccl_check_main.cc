// Tries libnla_nccl.so without a CUDA build of torch, for tools/check_nccl.sh: on the process's GPU alone, or under
// mpirun on one a rank. Where torch knows the GPU, its tensors are tried too.
// Usage: nccl_check [DEVICE]   (DEVICE: cuda or cuda:N)
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/fail.h"
#include "train/collectives/device_communicator.h"

namespace nla {
namespace {

// Whole numbers below 2^24: their sums are exact in any order.
constexpr size_t kCounts[] = {1, 1000, size_t{1} << 24};

float Value(size_t i, int rank) { return static_cast<float>(i % 1000 + static_cast<size_t>(rank) * 1000); }

float SumOfValues(size_t i, int size) {
  float sum = 0;
  for (int rank = 0; rank < size; ++rank) sum += Value(i, rank);
  return sum;
}

void Expect(bool holds, const std::string& what) {
  if (!holds) Fail({.where = "nccl_check", .what = what, .found = "other values"});
}

void CheckCuda(cudaError_t error, const char* call) {
  if (error != cudaSuccess) Fail({.where = call, .what = "failed", .found = cudaGetErrorString(error)});
}

// Values on the device, and a stream to work on.
class Memory {
 public:
  explicit Memory(size_t count) : count_(count) {
    CheckCuda(cudaMalloc(&data_, count * sizeof(float)), "cudaMalloc");
    CheckCuda(cudaStreamCreate(&stream_), "cudaStreamCreate");
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    cudaStreamDestroy(stream_);
    cudaFree(data_);
  }
  float* data() { return static_cast<float*>(data_); }
  cudaStream_t stream() { return stream_; }

  void Fill(int rank) {
    std::vector<float> values(count_);
    for (size_t i = 0; i < count_; ++i) values[i] = Value(i, rank);
    CheckCuda(cudaMemcpy(data_, values.data(), count_ * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  std::vector<float> Read() {
    CheckCuda(cudaGetLastError(), "what was waited for");  // nothing is left there for torch to stumble upon
    std::vector<float> values(count_);
    CheckCuda(cudaMemcpy(values.data(), data_, count_ * sizeof(float), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return values;
  }

 private:
  size_t count_;
  void* data_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

void CheckMemory(DeviceCollectives& collectives, const Communicator& ranks, size_t count) {
  Memory memory(count);
  for (int owner = 0; owner < ranks.size(); ++owner) {
    memory.Fill(ranks.rank());
    collectives.Reduce(memory.data(), count, owner, memory.stream());
    collectives.Finish();
    std::vector<float> found = memory.Read();
    for (size_t i = 0; i < count; ++i) {
      const bool mine = ranks.rank() == owner;
      Expect(found[i] == (mine ? SumOfValues(i, ranks.size()) : Value(i, ranks.rank())), "Reduce");
    }
    collectives.Broadcast(memory.data(), count * sizeof(float), owner, memory.stream());
    collectives.Finish();
    found = memory.Read();
    for (size_t i = 0; i < count; ++i) Expect(found[i] == SumOfValues(i, ranks.size()), "Broadcast");
  }
  constexpr int kRounds = 10;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) collectives.Reduce(memory.data(), count, 0, memory.stream());
  collectives.Finish();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!ranks.writes()) return;
  fmt::print("{} floats: a sum takes {:.1f} us\n", count, seconds.count() / kRounds * 1e6);
}

void CheckTensors(Communicator& ranks, const std::string& device) {
  if (!c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA)) {
    if (ranks.writes()) fmt::print("torch is no CUDA build: its tensors were left out\n");
    return;
  }
  for (const bool on_host : {false, true}) {
    const auto options = at::TensorOptions(on_host ? at::Device(at::kCPU) : at::Device(device)).dtype(at::kFloat);
    const at::Tensor tensor = at::full({1000}, ranks.rank() + 1, options);
    ranks.Reduce(tensor, 0);
    ranks.Broadcast(tensor, 0);
    ranks.Finish();
    const int sum = ranks.size() * (ranks.size() + 1) / 2;
    Expect(tensor.cpu().eq(sum).all().item<bool>(), "tensors");
  }
}

void Run(const std::string& device) {
  const std::shared_ptr<Communicator> ranks = JoinedProcesses();
  const DeviceModule& module = LoadDeviceModule();
  const int number = ChooseDevice(device, ranks->Local(), module.count());
  if (ranks->writes()) fmt::print("devices {}\n", module.count());
  const std::unique_ptr<DeviceCollectives> collectives(module.open(
      {.rank = ranks->rank(), .size = ranks->size(), .device = number, .from_first = [&](void* data, size_t bytes) {
         ranks->Broadcast(at::from_blob(data, {static_cast<int64_t>(bytes)}, at::kByte), 0);
       }}));
  for (const size_t count : kCounts) CheckMemory(*collectives, *ranks, count);
  CheckTensors(*MakeDeviceCommunicator(ranks, module, number), fmt::format("cuda:{}", number));
}

// As `nla` does.
int Main(const std::string& device) {
  int exit_code = 0;
  try {
    Run(device);
  } catch (const Error& error) {
    fmt::print(stderr, "nccl_check: {}\n", error.what());
    exit_code = static_cast<int>(error.kind());
  } catch (const std::exception& error) {
    fmt::print(stderr, "nccl_check: {}\n", error.what());
    exit_code = 1;
  }
  if (exit_code != 0 && JoinedOrNull() != nullptr) JoinedOrNull()->Abort(exit_code);
  LeaveProcesses();
  return exit_code;
}

}  // namespace
}  // namespace nla

int main(int argc, char** argv) { return nla::Main(argc > 1 ? argv[1] : "cuda"); }
