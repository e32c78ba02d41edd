// One process alone, finding out whether there are more, and loading what joins them.
#include "train/collectives/communicator.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/fail.h"
#include "train/collectives/device_communicator.h"

namespace nla {
namespace {

class SoloCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  LocalRank Local() override { return {}; }
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

// A library that lies beside the program, and is built where what it needs was found.
struct Module {
  const char* file;
  const char* symbol;
  std::string what;  // cannot be done without it
  std::string mend;
};

std::filesystem::path PathOf(const Module& module) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / module.file;
}

[[noreturn]] void FailModule(const Module& module, const std::string& found) {
  Fail({.where = PathOf(module).string(), .what = module.what, .found = found, .mend = module.mend});
}

// The library stays loaded to the end: threads of MPI and NCCL run in it.
void* Load(const Module& module) {
  void* library = dlopen(PathOf(module).c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) FailModule(module, dlerror());
  void* symbol = dlsym(library, module.symbol);
  if (symbol == nullptr) FailModule(module, dlerror());
  return symbol;
}

std::shared_ptr<Communicator> JoinMpi(int launched) {
  const Module module{.file = "libnla_mpi.so",
                      .symbol = kJoinSymbol,
                      .what = "was started by mpirun, and cannot join the other processes",
                      .mend = "Install libopenmpi-dev and openmpi-bin and build again, or start without mpirun"};
  std::shared_ptr<Communicator> joined(reinterpret_cast<JoinFunction>(Load(module))());
  // An mpirun of another MPI than this program was built with: every process would be alone and write the same files.
  if (joined->size() != launched) {
    FailModule(module, fmt::format("{} of {} processes; the mpirun is of another MPI", joined->size(), launched));
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

const DeviceModule& LoadDeviceModule() {
  return *static_cast<const DeviceModule*>(Load(
      {.file = "libnla_nccl.so",
       .symbol = kDeviceModuleSymbol,
       .what = "the processes cannot exchange what is on their GPUs",
       .mend =
           "Build with a CUDA build of torch and the wheels of requirements/nccl.txt in .venv, or give --device cpu"}));
}

std::string JoinDevice(const std::string& device) {
  const std::shared_ptr<Communicator> host = JoinedProcesses();
  if (device == "cpu" || host->size() == 1) return device;
  const DeviceModule& module = LoadDeviceModule();
  const int number = ChooseDevice(device, host->Local(), module.count());
  Joined() = MakeDeviceCommunicator(host, module, number);
  return fmt::format("cuda:{}", number);
}

Communicator* JoinedOrNull() { return Joined().get(); }

void LeaveProcesses() { Joined().reset(); }

}  // namespace nla
