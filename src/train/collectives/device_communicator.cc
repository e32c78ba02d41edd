// Which GPU is a rank's, and which way a tensor goes.
#include "train/collectives/device_communicator.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/fail.h"

namespace nla {
namespace {

// By the interface that all devices share: c10/cuda's headers and library come with torch's CUDA builds alone.
void* CurrentStream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

class DeviceCommunicator : public Communicator {
 public:
  DeviceCommunicator(std::shared_ptr<Communicator> host, const DeviceModule& module, int device)
      : host_(std::move(host)),
        device_(at::kCUDA, static_cast<at::DeviceIndex>(device)),
        collectives_(module.open({.rank = host_->rank(),
                                  .size = host_->size(),
                                  .device = device,
                                  .from_first = [this](void* data, size_t bytes) {
                                    host_->Broadcast(at::from_blob(data, {static_cast<int64_t>(bytes)}, at::kByte), 0);
                                  }})) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  LocalRank Local() override { return host_->Local(); }
  void Sum(std::span<double> values) override { host_->Sum(values); }

  void Reduce(const at::Tensor& tensor, int owner) override {
    if (tensor.device().is_cpu()) return host_->Reduce(tensor, owner);
    NLA_CHECK(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat && tensor.device() == device_);
    collectives_->Reduce(tensor.mutable_data_ptr<float>(), static_cast<size_t>(tensor.numel()), owner,
                         CurrentStream(device_));
  }

  void Broadcast(const at::Tensor& tensor, int owner) override {
    if (tensor.device().is_cpu()) return host_->Broadcast(tensor, owner);
    NLA_CHECK(tensor.is_contiguous() && tensor.device() == device_);
    collectives_->Broadcast(tensor.mutable_data_ptr(), tensor.nbytes(), owner, CurrentStream(device_));
  }

  void Finish() override { collectives_->Finish(); }
  [[noreturn]] void Abort(int exit_code) override {
    host_->Abort(exit_code);
    std::_Exit(exit_code);
  }

 private:
  std::shared_ptr<Communicator> host_;  // left after the devices were
  at::Device device_;
  std::unique_ptr<DeviceCollectives> collectives_;
};

}  // namespace

int ChooseDevice(const std::string& device, LocalRank local, int count) {
  if (device == "cuda") {
    if (local.size <= count) return local.rank;
    FailUsage(
        {.where = "--device",
         .what = "there are fewer CUDA devices than processes on this machine",
         .found = fmt::format("{} for {}", count, local.size),
         .mend = fmt::format("Start at most {} on each (mpirun --map-by ppr:{}:node). Where every process is shown a "
                             "device of its own by CUDA_VISIBLE_DEVICES, give --device cuda:0",
                             count, count)});
  }
  const std::string prefix = "cuda:";
  NLA_CHECK(device.starts_with(prefix));
  const char* end = device.data() + device.size();
  int number = -1;
  const auto [stop, error] = std::from_chars(device.data() + prefix.size(), end, number);
  if (error == std::errc() && stop == end && number >= 0 && number < count) return number;
  FailUsage({.where = "--device",
             .what = "there is no such CUDA device",
             .found = device,
             .wanted = count == 1 ? "cuda:0" : fmt::format("cuda:0 to cuda:{}", count - 1)});
}

std::shared_ptr<Communicator> MakeDeviceCommunicator(std::shared_ptr<Communicator> host, const DeviceModule& module,
                                                     int device) {
  return std::make_shared<DeviceCommunicator>(std::move(host), module, device);
}

}  // namespace nla
