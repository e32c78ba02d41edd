// The communicator of ranks that compute on a GPU each: their tensors go from device to device, the rest by the host.
#pragma once

#include <memory>
#include <string>

#include "train/collectives/communicator.h"
#include "train/collectives/device_collectives.h"

namespace nla {

// Number of the device for --device cuda (the one of the rank's place on its machine) or cuda:N (that one), of the
// `count` that the process sees. Usage errors.
int ChooseDevice(const std::string& device, LocalRank local, int count);

// libnla_nccl.so, which lies beside the program; errors say what it lacks.
const DeviceModule& LoadDeviceModule();

// Collective. CUDA tensors must be on `device`; they go by the module's collectives on torch's current stream. CPU
// tensors and numbers go by `host`. The module must outlive it.
std::shared_ptr<Communicator> MakeDeviceCommunicator(std::shared_ptr<Communicator> host, const DeviceModule& module,
                                                     int device);

}  // namespace nla
