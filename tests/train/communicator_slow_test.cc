// The communicator over MPI by itself: this program starts itself under mpirun.
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/scratch_testing.h"
#include "nla/error.h"
#include "train/collectives/communicator.h"

namespace nla {
namespace {

constexpr int kRanks = 3;

bool UnderMpirun() { return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr; }

// Runs the test of that name as `kRanks` processes; gives the exit code and what they print.
std::pair<int, std::string> RunOnRanks(const std::string& name) {
  const ScratchDirectory scratch;
  const std::filesystem::path printed = scratch / "printed";
  const int status =
      std::system(fmt::format("mpirun --allow-run-as-root --oversubscribe -n {} {} --gtest_filter={} >{} 2>&1", kRanks,
                              std::filesystem::read_symlink("/proc/self/exe").string(), name, printed.string())
                      .c_str());
  return {WEXITSTATUS(status), ReadFile(printed)};
}

class MpiCommunicator : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::filesystem::path(NLA_PROGRAM).parent_path() / "libnla_mpi.so") ||
        std::system("mpirun --allow-run-as-root --oversubscribe -n 2 true >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "MPI is not installed, or starts nothing here";
    }
  }
};

TEST_F(MpiCommunicator, SumsAndSends) {
  const auto [exit_code, printed] = RunOnRanks("OnEveryRank.*");
  EXPECT_EQ(exit_code, 0) << printed;
  for (int rank = 0; rank < kRanks; ++rank) EXPECT_THAT(printed, testing::HasSubstr(fmt::format("rank {} done", rank)));
}

// What the processes do. The program leaves MPI when it ends.
class OnEveryRank : public testing::Test {
 protected:
  void SetUp() override {
    if (!UnderMpirun()) GTEST_SKIP() << "a part of MpiCommunicator.SumsAndSends";
  }
};

TEST_F(OnEveryRank, Works) {
  const std::shared_ptr<Communicator> ranks = JoinedProcesses();
  const int rank = ranks->rank();
  ASSERT_EQ(ranks->size(), kRanks);
  const LocalRank local = ranks->Local();
  EXPECT_EQ(local.rank, rank);  // all are on this machine
  EXPECT_EQ(local.size, kRanks);

  for (int owner = 0; owner < kRanks; ++owner) {
    const at::Tensor values = at::full({1000}, rank + 1.0f);
    ranks->Reduce(values, owner);
    ranks->Finish();
    EXPECT_TRUE(values.eq(rank == owner ? 6 : rank + 1).all().item<bool>()) << "owner " << owner;
    const at::Tensor sent = at::arange(10).add(100 * rank).to(at::kBFloat16);
    ranks->Broadcast(sent, owner);
    ranks->Finish();
    EXPECT_TRUE(sent.equal(at::arange(10).add(100 * owner).to(at::kBFloat16))) << "owner " << owner;
  }
  EXPECT_EQ(ranks->Agree(10.0 * (rank + 1)), 10);

  // The processor's way needs no device; the GPU's must be refused by all, whatever was built.
  EXPECT_EQ(JoinDevice("cpu"), "cpu");
  EXPECT_EQ(JoinedProcesses(), ranks);
  EXPECT_THROW(JoinDevice("cuda:1000"), Error);
  if (!HasFailure()) fmt::print("rank {} done\n", rank);
}

}  // namespace
}  // namespace nla
