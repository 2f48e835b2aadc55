// errors.h: CUDA's error codes, the last one of each host thread, and what there is to say about it.
#pragma once
#include <string>

enum cudaError : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorDeviceUnavailable = 46,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorHostMemoryAlreadyRegistered = 712,
  cudaErrorHostMemoryNotRegistered = 713,
  cudaErrorLaunchFailure = 719,
  cudaErrorUnknown = 999,
};
using cudaError_t = cudaError;

const char* cudaGetErrorName(cudaError_t error);
// With last_report() after it, where the error is one of kernels.
const char* cudaGetErrorString(cudaError_t error);
// What the last failing call of this host thread returned, or what a kernel of the current device did; then forgets it.
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

namespace emulator {

// Sets what last_report() says. The runtime's lock is held.
void report(const std::string& text);

// The same error, kept for cudaGetLastError() unless it is none.
cudaError_t remember(cudaError_t error, int device);

}  // namespace emulator
