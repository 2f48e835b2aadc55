// weights.cuh: one number for each model, in double in the device's memory, as the numbers that kernels read.
#pragma once
#include "cuda/ops/kernels.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {

template <class T>
__global__ void __launch_bounds__(kThreads) narrow_kernel(const double* from, int64_t count, int copies, T* to) {
  for (int64_t i = threadIdx.x; i < count * copies; i += kThreads) to[i] = static_cast<T>(from[i / copies]);
}

}  // namespace fk::cuda
