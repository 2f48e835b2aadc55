// store.cuh: a few bytes into device memory, carried by a kernel's arguments: no copy that a host buffer must outlive.
#pragma once
#include <cuda_runtime.h>

#include "cuda/tuning.cuh"

namespace fk::cuda {

struct Parcel {
  static constexpr int kBytes = 3584;  // arguments may take 4096
  uint4 words[kBytes / sizeof(uint4)];
};

static __global__ void __launch_bounds__(kThreads)
    store_kernel(const __grid_constant__ Parcel parcel, uint4* to, int words) {
  if (int(threadIdx.x) < words) to[threadIdx.x] = parcel.words[threadIdx.x];
}

}  // namespace fk::cuda
