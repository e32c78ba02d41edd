// One process alone, and finding out whether there are more.
#include "train/collectives/communicator.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/fail.h"

namespace nla {
namespace {

class SoloCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void Sum(std::span<double> /*values*/) override {}
  void Reduce(const at::Tensor& /*tensor*/, int /*owner*/) override {}
  void Broadcast(const at::Tensor& /*tensor*/, int /*owner*/) override {}
  [[noreturn]] void Abort(int exit_code) override { std::_Exit(exit_code); }
};

std::shared_ptr<Communicator>& Joined() {
  static std::shared_ptr<Communicator> joined;
  return joined;
}

// Launchers tell each process how many there are: OpenMPI; MPICH and Intel MPI.
int LaunchedProcesses() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const char* size = std::getenv(name)) return std::atoi(size);
  }
  return 1;
}

std::shared_ptr<Communicator> JoinMpi(int launched) {
  const std::filesystem::path module = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libnla_mpi.so";
  const auto fail = [&](const std::string& found) {
    Fail({.where = module.string(),
          .what = "was started by mpirun, and cannot join the other processes",
          .found = found,
          .mend = "Install libopenmpi-dev and openmpi-bin and build again, or start without mpirun"});
  };
  // The library stays loaded to the end: MPI's own threads run in it.
  void* library = dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) fail(dlerror());
  const auto join = reinterpret_cast<JoinFunction>(dlsym(library, kJoinSymbol));
  if (join == nullptr) fail(dlerror());
  std::shared_ptr<Communicator> joined(join());
  // An mpirun of another MPI than this program was built with: every process would be alone and write the same files.
  if (joined->size() != launched) {
    fail(fmt::format("{} of {} processes; the mpirun is of another MPI", joined->size(), launched));
  }
  return joined;
}

}  // namespace

bool Communicator::Agree(bool yes) { return Agree(yes ? 1.0 : 0.0) != 0; }

double Communicator::Agree(double value) {
  double word = rank() == 0 ? value : 0;
  Sum({&word, 1});
  return word;
}

std::shared_ptr<Communicator> Solo() { return std::make_shared<SoloCommunicator>(); }

std::shared_ptr<Communicator> JoinedProcesses() {
  const int launched = LaunchedProcesses();
  if (!Joined()) Joined() = launched > 1 ? JoinMpi(launched) : Solo();
  return Joined();
}

Communicator* JoinedOrNull() { return Joined().get(); }

}  // namespace nla
