// check.hpp: a failed call of the CUDA runtime as an error that says what was being done.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "core/error.hpp"

namespace fk::cuda {

inline void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  const std::string text = std::string("cannot ") + doing + ": " + cudaGetErrorString(error);
  cudaGetLastError();  // or the next launch would be blamed for it
  throw DeviceError(text);
}

}  // namespace fk::cuda
