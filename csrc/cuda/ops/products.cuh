// products.cuh: sums as the numbers of a result.
#pragma once
#include "core/portable.hpp"
#include "cuda/ops/kernels.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {

// Which NaN a processor makes differs between them.
FK_FN double canonical(double sum) { return sum == sum ? sum : bits_as<double>(int64_t{0x7ff8000000000000}); }

static __global__ void __launch_bounds__(kThreads) square_kernel(const double* triangle, int count, double* out) {
  const int64_t entries = int64_t(count) * count;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < entries; i += int64_t(gridDim.x) * kThreads) {
    const int64_t row = i / count, column = i % count;
    const int64_t j = row < column ? row : column, k = row < column ? column : row;
    out[i] = canonical(triangle[j * count - j * (j - 1) / 2 + k - j]);
  }
}

static __global__ void __launch_bounds__(kThreads)
    finish_kernel(const double* totals, int stride, int64_t count, bool root, double* out) {
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < count; i += int64_t(gridDim.x) * kThreads)
    out[i] = canonical(root ? sqrt(totals[i * stride]) : totals[i * stride]);
}

}  // namespace fk::cuda
