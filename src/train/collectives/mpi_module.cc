// libnla_mpi.so: the communicator over MPI, for tensors on the CPU. A library of its own, so that the program runs
// where MPI is not installed.
#include <mpi.h>

#include <climits>

#include "base/fail.h"
#include "train/collectives/communicator.h"

namespace nla {
namespace {

// MPI counts in int; OpenMPI reduces long messages in pieces anyway.
constexpr int64_t kLongest = int64_t{1} << 28;

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;
  ~MpiCommunicator() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  LocalRank Local() override {
    MPI_Comm here = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    LocalRank local;
    MPI_Comm_rank(here, &local.rank);
    MPI_Comm_size(here, &local.size);
    MPI_Comm_free(&here);
    return local;
  }

  // To one and from there to all, so that no two ranks can sum in different orders.
  void Sum(std::span<double> values) override {
    NLA_CHECK(values.size() <= INT_MAX);
    const auto count = static_cast<int>(values.size());
    MPI_Reduce(rank_ == 0 ? MPI_IN_PLACE : values.data(), values.data(), count, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Bcast(values.data(), count, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    if (count == 0) MPI_Barrier(MPI_COMM_WORLD);
  }

  void Reduce(const at::Tensor& tensor, int owner) override {
    NLA_CHECK(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat && tensor.device().is_cpu());
    auto* data = tensor.mutable_data_ptr<float>();
    for (int64_t begin = 0; begin < tensor.numel(); begin += kLongest) {
      const auto count = static_cast<int>(std::min(kLongest, tensor.numel() - begin));
      MPI_Reduce(rank_ == owner ? MPI_IN_PLACE : data + begin, data + begin, count, MPI_FLOAT, MPI_SUM, owner,
                 MPI_COMM_WORLD);
    }
  }

  void Broadcast(const at::Tensor& tensor, int owner) override {
    NLA_CHECK(tensor.is_contiguous() && tensor.device().is_cpu());
    auto* data = static_cast<std::byte*>(tensor.mutable_data_ptr());
    const auto size = static_cast<int64_t>(tensor.nbytes());
    for (int64_t begin = 0; begin < size; begin += kLongest) {
      MPI_Bcast(data + begin, static_cast<int>(std::min(kLongest, size - begin)), MPI_BYTE, owner, MPI_COMM_WORLD);
    }
  }

  [[noreturn]] void Abort(int exit_code) override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace
}  // namespace nla

extern "C" nla::Communicator* nla_join_mpi() { return new nla::MpiCommunicator; }
