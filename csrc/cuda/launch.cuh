// launch.cuh: the only place a kernel is launched. Not compiled by nvcc, it runs on the emulator of the native tests.
#pragma once
#include <cuda_runtime.h>

#include <string>

#include "core/error.hpp"

namespace fk::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, Arguments... arguments) {
#ifdef __CUDACC__
  kernel<<<grid, block, 0, stream>>>(arguments...);
#else
  emulator::launch(kernel, grid, block, 0, stream, arguments...);
#endif
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess)
    throw DeviceError(std::string("cannot launch a kernel: ") + cudaGetErrorString(error));
}

}  // namespace fk::cuda
