// Which GPU is a rank's, and which way tensors go; with a module that only notes what it is asked for.
#include "train/collectives/device_communicator.h"

#include <ATen/ops/zeros.h>
#include <c10/core/TensorImpl.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "nla/error.h"

namespace nla {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Refusal(const std::string& device, LocalRank local, int count) {
  try {
    ChooseDevice(device, local, count);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "taken";
}

TEST(ChooseDevice, GivesEveryRankOfAMachineItsOwn) {
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(ChooseDevice("cuda", {.rank = rank, .size = 4}, 8), rank);
  EXPECT_EQ(ChooseDevice("cuda", {}, 1), 0);
}

TEST(ChooseDevice, TakesTheNumberThatIsGiven) {
  EXPECT_EQ(ChooseDevice("cuda:3", {}, 4), 3);
  // Every process may have been shown one device of its own.
  EXPECT_EQ(ChooseDevice("cuda:0", {.rank = 3, .size = 4}, 1), 0);
}

TEST(ChooseDevice, SaysWhenThereAreTooFew) {
  // All ranks of the machine say so, not just those that found none.
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(
        Refusal("cuda", {.rank = rank, .size = 4}, 2),
        "--device: there are fewer CUDA devices than processes on this machine: found 2 for 4. Start at most 2 on "
        "each (mpirun --map-by ppr:2:node). Where every process is shown a device of its own by "
        "CUDA_VISIBLE_DEVICES, give --device cuda:0.");
  }
}

TEST(ChooseDevice, RefusesANumberThatIsNotThere) {
  EXPECT_EQ(Refusal("cuda:2", {}, 2), "--device: there is no such CUDA device: found cuda:2, wanted cuda:0 to cuda:1");
  EXPECT_EQ(Refusal("cuda:1", {}, 1), "--device: there is no such CUDA device: found cuda:1, wanted cuda:0");
  EXPECT_THAT(Refusal("cuda:99999999999999999999", {}, 2), HasSubstr("no such CUDA device"));
}

// What was asked for, in order.
std::vector<std::string>& Asked() {
  static std::vector<std::string> asked;
  return asked;
}

class NotingHost : public Communicator {
 public:
  int rank() const override { return 1; }
  int size() const override { return 3; }
  LocalRank Local() override { return {.rank = 1, .size = 2}; }
  void Sum(std::span<double> values) override { Asked().push_back(fmt::format("host sums {}", values.size())); }
  void Reduce(const at::Tensor& tensor, int owner) override {
    Asked().push_back(fmt::format("host reduces {} to {}", tensor.numel(), owner));
  }
  void Broadcast(const at::Tensor& tensor, int owner) override {
    Asked().push_back(fmt::format("host sends {} bytes from {}", tensor.nbytes(), owner));
  }
  [[noreturn]] void Abort(int exit_code) override { std::_Exit(exit_code); }
  ~NotingHost() override { Asked().emplace_back("host left"); }
};

class NotingDevice : public DeviceCollectives {
 public:
  ~NotingDevice() override { Asked().emplace_back("device left"); }
  void Reduce(float* values, size_t count, int owner, void* stream) override {
    Asked().push_back(
        fmt::format("device reduces {} from {} to {} on {}", count, fmt::ptr(values), owner, fmt::ptr(stream)));
  }
  void Broadcast(void* data, size_t bytes, int owner, void* stream) override {
    Asked().push_back(
        fmt::format("device sends {} bytes at {} from {} on {}", bytes, fmt::ptr(data), owner, fmt::ptr(stream)));
  }
  void Finish() override { Asked().emplace_back("device finishes"); }
};

DeviceCollectives* OpenNoting(const DeviceRank& place) {
  Asked().push_back(fmt::format("device {} opened as {} of {}", place.device, place.rank, place.size));
  std::array<char, 128> bytes{};
  place.from_first(bytes.data(), bytes.size());
  return new NotingDevice;
}

constexpr DeviceModule kNotingModule{.count = [] { return 4; }, .open = OpenNoting};

// What torch asks for the current stream; another one on every device.
class FakeGuard final : public c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
 public:
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::UNSAFE, device, 0x10 + device.index());
  }
  void* getStreamNativeHandle(const c10::Stream stream) const override { return reinterpret_cast<void*>(stream.id()); }
};

class DeviceCommunicator : public testing::Test {
 protected:
  DeviceCommunicator() : real_guard_(Guard().exchange(&guard_)) { Asked().clear(); }
  ~DeviceCommunicator() override { Guard().store(real_guard_); }

  static std::atomic<const c10::impl::DeviceGuardImplInterface*>& Guard() {
    return c10::impl::device_guard_impl_registry[static_cast<size_t>(c10::DeviceType::CUDA)];
  }
  // A tensor that says it is on the device: nothing here reads it.
  at::Tensor OnDevice(at::DeviceIndex index, at::ScalarType type) {
    c10::Storage storage(c10::Storage::use_byte_size_t(), sizeof(memory_),
                         at::DataPtr(memory_.data(), at::Device(at::kCUDA, index)));
    at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
        std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CUDA), c10::scalarTypeToTypeMeta(type));
    tensor.unsafeGetTensorImpl()->set_sizes_contiguous({4});
    return tensor;
  }
  std::string At() const { return fmt::format("{}", fmt::ptr(memory_.data())); }

 private:
  FakeGuard guard_;
  const c10::impl::DeviceGuardImplInterface* real_guard_;

 protected:
  std::array<float, 4> memory_{};
};

TEST_F(DeviceCommunicator, SendsTensorsTheWayOfTheirMemory) {
  {
    const std::shared_ptr<Communicator> ranks =
        MakeDeviceCommunicator(std::make_shared<NotingHost>(), kNotingModule, 2);
    EXPECT_EQ(ranks->rank(), 1);
    EXPECT_EQ(ranks->size(), 3);
    EXPECT_EQ(ranks->Local().size, 2);
    ranks->Reduce(OnDevice(2, at::kFloat), 1);
    ranks->Broadcast(OnDevice(2, at::kBFloat16), 0);
    ranks->Finish();
    ranks->Reduce(at::zeros({5}), 2);
    ranks->Broadcast(at::zeros({5}), 2);
    ranks->Wait();
  }
  EXPECT_THAT(Asked(), ElementsAre("device 2 opened as 1 of 3", "host sends 128 bytes from 0",
                                   "device reduces 4 from " + At() + " to 1 on 0x12",
                                   "device sends 8 bytes at " + At() + " from 0 on 0x12", "device finishes",
                                   "host reduces 5 to 2", "host sends 20 bytes from 2", "host sums 0", "device left",
                                   "host left"));
}

TEST_F(DeviceCommunicator, TakesNothingOfAnotherDeviceOrType) {
  const std::shared_ptr<Communicator> ranks = MakeDeviceCommunicator(std::make_shared<NotingHost>(), kNotingModule, 2);
  EXPECT_DEATH(ranks->Reduce(OnDevice(1, at::kFloat), 0), "device_");
  EXPECT_DEATH(ranks->Broadcast(OnDevice(1, at::kFloat), 0), "device_");
  EXPECT_DEATH(ranks->Reduce(OnDevice(2, at::kBFloat16), 0), "kFloat");
}

// This test program was not started by mpirun.
TEST(JoinDevice, ChangesNothingForOneProcess) {
  EXPECT_EQ(JoinDevice("cpu"), "cpu");
  EXPECT_EQ(JoinDevice("cuda"), "cuda");
  EXPECT_EQ(JoinedProcesses()->size(), 1);
}

TEST(LoadDeviceModule, SaysWhatIsMissing) {
  try {
    LoadDeviceModule();
    GTEST_SKIP() << "libnla_nccl.so was built here";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("libnla_nccl.so: the processes cannot exchange what is on their GPUs: found "));
    EXPECT_THAT(error.what(), HasSubstr("requirements/nccl.txt"));
  }
}

}  // namespace
}  // namespace nla
