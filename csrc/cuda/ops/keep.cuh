// keep.cuh: one tensor with zeros where nothing is kept: what a merge on a base of zeros would keep of it.
//
// Added to zero, as a merge adds what it kept to the base: a zero comes out as +0.
#pragma once
#include "cuda/fold.cuh"
#include "cuda/ops/kernels.hpp"
#include "methods/parts/sparsifiers.hpp"

namespace fk::cuda {

// Calls kept(i, values) for every eight elements, and stores what it makes of them.
template <class T, class Kept>
__device__ __forceinline__ void thin(const Thinned& tensor, Kept&& kept) {
  const int64_t stride = int64_t(gridDim.x) * kThreads * kEight;
  for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kEight; i < tensor.n; i += stride) {
    T values[kEight];
    load_eight<kAnyFormat>(tensor.in, i, tensor.n, values);
    kept(i, values);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) values[j] = T(0) + values[j];
    const bool whole = tensor.out.aligned && i + kEight <= tensor.n;
    with_format<kAnyFormat>(tensor.out.dtype, [&]<DType D>() {
      store_eight<D, T>(const_cast<void*>(tensor.out.data), i, tensor.n, whole, values);
    });
  }
}

// What the magnitude of a row's element must exceed: as kept_above() in cpu/select.hpp.
template <class T>
FK_FN IntOf<T> kept_above(const T& threshold, int64_t last, int64_t column) {
  const IntOf<T> magnitude = ordered_magnitude(threshold);
  const IntOf<T> above = column <= last ? magnitude - 1 : magnitude;
  return above < kNaNMagnitude<T> ? above : std::numeric_limits<IntOf<T>>::max();
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    keep_above_kernel(Thinned tensor, int64_t row_length, const T* thresholds, const int64_t* last) {
  thin<T>(tensor, [&](int64_t i, T(&values)[kEight]) {
    int64_t row = row_length < tensor.n ? i / row_length : 0, column = i - row * row_length;
    T threshold = thresholds[row];
    int64_t last_kept = last[row];
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) {
      if (i + j >= tensor.n) break;
      values[j] = KeepTop::kept<T>(values[j], {kept_above(threshold, last_kept, column)});
      if (++column == row_length && i + j + 1 < tensor.n) {
        column = 0;
        threshold = thresholds[++row];
        last_kept = last[row];
      }
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) keep_random_kernel(Thinned tensor, uint64_t key, uint32_t below, T factor) {
  thin<T>(tensor, [&](int64_t i, T(&values)[kEight]) {
    const uint32_t kept = keep_eight(key, i / kEight, below);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) values[j] = (kept >> j & 1 ? values[j] : T(0)) * factor;
  });
}

}  // namespace fk::cuda
