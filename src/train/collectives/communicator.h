// The processes that train together (ranks 0 … size − 1), and what they tell each other. One process alone is rank 0
// of 1, and everything here then does nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>

namespace nla {

// A rank's place among those on its machine.
struct LocalRank {
  int rank = 0;
  int size = 1;
};

// Every call but rank, size, Finish and Abort is collective: all ranks make it in the same order with the same sizes.
// Results do not depend on how long anybody took. Not thread-safe. Tensors are contiguous, and on the CPU or, after
// JoinDevice, on the rank's GPU; a GPU's are there for what comes later on torch's current stream.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual LocalRank Local() = 0;
  // The sum over ranks, in double, to all: equal bit for bit on every rank.
  virtual void Sum(std::span<double> values) = 0;
  // The sum over ranks into the owner's fp32 tensor; the others' keep what they had.
  virtual void Reduce(const at::Tensor& tensor, int owner) = 0;
  // The owner's bytes to all.
  virtual void Broadcast(const at::Tensor& tensor, int owner) = 0;
  // Waits until the GPU's tensors of all calls so far are there, or throws where they cannot come. To be called before
  // anything that was made of them is kept. CPU tensors are there when the call returns.
  virtual void Finish() {}
  // Ends every rank's process with this exit code. To be called where one of them failed: the others would wait for it.
  [[noreturn]] virtual void Abort(int exit_code) = 0;

  bool writes() const { return rank() == 0; }  // the one rank that writes files and shows progress
  void Wait() { Sum({}); }                     // until all are here
  // Rank 0's word, for all.
  bool Agree(bool yes);
  double Agree(double value);
};

// Alone.
std::shared_ptr<Communicator> Solo();

// What `mpirun -n N` has started this process as; Solo() where it was started without. The first call joins, later ones
// give the same. Errors say what is missing: MPI's part of this program, libnla_mpi.so, is built where MPI was found.
std::shared_ptr<Communicator> JoinedProcesses();
// Lets ranks that compute on --device cuda or cuda:N each have a GPU: JoinedProcesses() then takes its tensors too,
// over NCCL. Collective. Gives the device by its number. Does nothing for cpu, and for one process alone. Errors say
// what is missing: libnla_nccl.so is built where torch is a CUDA build.
std::string JoinDevice(const std::string& device);
// The communicator of JoinedProcesses(); nullptr where there was none. For the end of a process that failed.
Communicator* JoinedOrNull();
// Ends what the calls before began, when the work is done; at the exit of the process CUDA would be gone before NCCL.
void LeaveProcesses();

// What libnla_mpi.so exports under this name: joins, and gives an object that leaves when it is destroyed.
inline constexpr const char* kJoinSymbol = "nla_join_mpi";
using JoinFunction = Communicator* (*)();

}  // namespace nla
