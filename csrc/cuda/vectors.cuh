// vectors.cuh: matrices whose rows or columns are vectors of their own: sums down columns, sums weighted by vector.
#pragma once
#include "cuda/fold.cuh"

namespace fk::cuda {

// Products are added in the order of the rows, by one thread a column.
template <class T>
__global__ void __launch_bounds__(kThreads) column_sums_kernel(const VectorTensor* of) {
  const FoldTensor& tensor = *of->tensor;
  for (int64_t c = int64_t(blockIdx.x) * kThreads + threadIdx.x; c < of->columns; c += int64_t(gridDim.x) * kThreads) {
    double* sum = of->sums + c;
    for (int j = 0; j < tensor.count; ++j)
      for (int k = j; k < tensor.count; ++k, sum += of->columns) {
        double total = of->continues ? *sum : 0;
        for (int64_t row = 0; row < of->rows; ++row) {
          const int64_t i = row * of->columns + c;
          total += static_cast<double>(load_delta<T>({tensor.base, tensor.models[j].array}, i)) *
                   static_cast<double>(load_delta<T>({tensor.base, tensor.models[k].array}, i));
        }
        *sum = total;
      }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) vector_sum_kernel(VectorBatch batch) {
  for (int64_t chunk = blockIdx.x; chunk < batch.chunks; chunk += gridDim.x) {
    const VectorTensor& of = tensor_of(batch.tensors, batch.count, chunk);
    const FoldTensor& tensor = *of.tensor;
    const T* const weights = static_cast<const T*>(of.weights);
    const int64_t vectors = of.by_column ? of.columns : of.rows;
    const int64_t start = (chunk - of.first_chunk) * kChunk;
    const int64_t end = start + kChunk < tensor.n ? start + kChunk : tensor.n;
    IntOf<T> peak = 0;
    for (int64_t i = start + int64_t(threadIdx.x) * kEight; i < end; i += kThreads * kEight) {
      T base[kEight] = {}, sum[kEight], values[kEight];
      if (tensor.base.data) load_eight<kAnyFormat>(tensor.base, i, tensor.n, base);
      for (int k = 0; k < tensor.count; ++k) {
        load_eight<kAnyFormat>(tensor.models[k].array, i, tensor.n, values);
        for (int j = 0; j < kEight && i + j < end; ++j) {
          const int64_t vector = of.by_column ? (i + j) % of.columns : (i + j) / of.columns;
          const T term = (tensor.base.data ? values[j] - base[j] : values[j]) * weights[k * vectors + vector];
          sum[j] = k == 0 ? term : sum[j] + term;
        }
      }
      for (int j = 0; j < kEight && i + j < end; ++j) {
        if (tensor.base.data) sum[j] = base[j] + sum[j];
        const IntOf<T> magnitude = magnitude_bits(sum[j]);
        peak = magnitude > peak ? magnitude : peak;
      }
      const bool whole = tensor.out.aligned && i + kEight <= tensor.n;
      with_format<kAnyFormat>(tensor.out.dtype, [&]<DType D>() {
        store_eight<D, T>(const_cast<void*>(tensor.out.data), i, tensor.n, whole, sum);
      });
    }
    if (tensor.peak && peak > 0) atomicMax(tensor.peak, static_cast<unsigned long long>(peak));
  }
}

}  // namespace fk::cuda
