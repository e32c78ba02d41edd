// What libnla_nccl.so calls of NCCL and of the CUDA runtime, done in the processor's memory over MPI: preloaded, it
// lets tools/check_nccl.sh run that library on several ranks where there is no GPU. Work is done when a stream is asked
// for the second time, so that what is read too early is seen. It says nothing of NCCL itself.
//
// FAKE_NCCL_FAULT: `init` and `reduce` let that call fail, `lost` lets no collective come to its end.
#include <cuda_runtime_api.h>
#include <mpi.h>
#include <nccl.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

struct ncclComm {  // the name that nccl.h gives it
  MPI_Comm ranks = MPI_COMM_SELF;
  int rank = 0;
};

namespace {

constexpr int kDevices = 2;

struct Stream {
  std::vector<std::function<void()>> work;
  int asked = 0;
};

int device = -1;
const char* last_error = "";
cudaError_t kept = cudaSuccess;

bool Fault(std::string_view name) {
  const char* fault = std::getenv("FAKE_NCCL_FAULT");
  return fault != nullptr && fault == name;
}

ncclResult_t Refuse(ncclResult_t result, const char* why) {
  last_error = why;
  return result;
}

bool Alone() {
  int joined = 0;
  MPI_Initialized(&joined);
  return joined == 0;
}

Stream& On(cudaStream_t stream) { return *reinterpret_cast<Stream*>(stream); }

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  device = number;
  return number < kDevices ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetLastError() { return std::exchange(kept, cudaSuccess); }

cudaError_t cudaMalloc(void** memory, size_t size) {
  *memory = std::malloc(size);
  return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind /*kind*/) {
  std::memcpy(to, from, size);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(new Stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete &On(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (On(stream).work.empty()) return cudaSuccess;
  if (++On(stream).asked < 2 || Fault("lost")) return kept = cudaErrorNotReady;
  for (const std::function<void()>& work : On(stream).work) work();
  On(stream) = {};
  return cudaSuccess;
}

const char* ncclGetLastError(ncclComm_t /*comm*/) { return last_error; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::strcpy(id->internal, "of rank 0");
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  if (Fault("init")) return Refuse(ncclSystemError, "fake: no network\n");
  if (std::strcmp(id.internal, "of rank 0") != 0) return Refuse(ncclInvalidArgument, "fake: another id");
  if (device < 0) return Refuse(ncclInvalidUsage, "fake: no current device");
  auto* made = new ncclComm;
  made->rank = rank;
  if (!Alone()) {
    MPI_Comm_dup(MPI_COMM_WORLD, &made->ranks);
    std::vector<int> devices(static_cast<size_t>(size));
    MPI_Allgather(&device, 1, MPI_INT, devices.data(), 1, MPI_INT, made->ranks);
    for (int other = 0; other < size; ++other) {
      if (other == rank || devices[static_cast<size_t>(other)] != device) continue;
      delete made;
      return Refuse(ncclInvalidUsage, "fake: Duplicate GPU detected");
    }
  }
  *comm = made;
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t /*comm*/, ncclResult_t* error) {
  *error = Fault("lost") ? Refuse(ncclRemoteError, "fake: a peer is gone") : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t operation, int owner,
                        ncclComm_t comm, cudaStream_t stream) {
  if (Fault("reduce")) return Refuse(ncclUnhandledCudaError, "fake: no memory");
  if (type != ncclFloat32 || operation != ncclSum) return Refuse(ncclInvalidArgument, "fake: not a sum of floats");
  On(stream).work.emplace_back([=] {
    if (Alone()) return;
    const bool mine = comm->rank == owner;
    MPI_Reduce(mine && from == to ? MPI_IN_PLACE : from, mine ? to : nullptr, static_cast<int>(count), MPI_FLOAT,
               MPI_SUM, owner, comm->ranks);
  });
  return ncclSuccess;
}

ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int owner, ncclComm_t comm,
                           cudaStream_t stream) {
  if (type != ncclUint8 || from != to) return Refuse(ncclInvalidArgument, "fake: not bytes in place");
  On(stream).work.emplace_back([=] {
    if (!Alone()) MPI_Bcast(to, static_cast<int>(count), MPI_BYTE, owner, comm->ranks);
  });
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm->ranks != MPI_COMM_SELF) MPI_Comm_free(&comm->ranks);
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}

}  // extern "C"
