// device.hpp: which GPU the runtime's calls are for, and how a queue on it is described.
#pragma once
#include <string>

#include "cuda/check.hpp"
#include "cuda/kernels.hpp"

namespace fk::cuda {

inline int device_count() {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    throw DeviceError(std::string("there is no GPU to merge on: ") + cudaGetErrorString(error));
  }
  return count;
}

// The device that calls are for, as long as the object lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    if (const int count = device_count(); device < 0 || device >= count)
      throw DeviceError("there is no GPU " + std::to_string(device) + ": this machine has " + std::to_string(count));
    check(cudaGetDevice(&before_), "ask for the current GPU");
    check(cudaSetDevice(device), "choose a GPU");
  }
  ~OnDevice() { cudaSetDevice(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

inline Queue queue_on(int device, uintptr_t stream) {
  int processors = 0;
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "describe a GPU");
  return {reinterpret_cast<cudaStream_t>(stream), processors};
}

}  // namespace fk::cuda
