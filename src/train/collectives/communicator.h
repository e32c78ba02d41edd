// The processes that train together (ranks 0 … size − 1), and what they tell each other. One process alone is rank 0
// of 1, and everything here then does nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>

namespace nla {

// Every call but rank, size and Abort is collective: all ranks make it in the same order with the same sizes. Results
// do not depend on how long anybody took. Not thread-safe. Tensors are contiguous and on the device that the
// implementation serves (MPI: the CPU; NCCL: the rank's GPU).
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // The sum over ranks, in double, to all: equal bit for bit on every rank.
  virtual void Sum(std::span<double> values) = 0;
  // The sum over ranks into the owner's fp32 tensor; the others' keep what they had.
  virtual void Reduce(const at::Tensor& tensor, int owner) = 0;
  // The owner's bytes to all.
  virtual void Broadcast(const at::Tensor& tensor, int owner) = 0;
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
// The communicator of the call before; nullptr where there was none. For the end of a process that failed.
Communicator* JoinedOrNull();

// What libnla_mpi.so exports under this name: joins, and gives an object that leaves when it is destroyed.
inline constexpr const char* kJoinSymbol = "nla_join_mpi";
using JoinFunction = Communicator* (*)();

}  // namespace nla
