// launch.cuh: the only place a kernel is launched.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "core/error.hpp"

namespace fk::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, Arguments... arguments) {
  kernel<<<grid, block, 0, stream>>>(arguments...);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess)
    throw DeviceError(std::string("cannot launch a kernel: ") + cudaGetErrorString(error));
}

}  // namespace fk::cuda
