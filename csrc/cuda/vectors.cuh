// vectors.cuh: matrices whose rows or columns are vectors of their own: sums down columns, sums weighted by vector.
#pragma once
#include "cuda/fold.cuh"

namespace fk::cuda {

// Rows and columns of two models at once: kRowsAtOnce by kColumnsAtOnce of them, as double, eight neighbours a thread.
using ColumnPiece = double[kRowsAtOnce][kColumnsAtOnce];

// From `row` and `column` on; what lies outside the matrix is left as it is.
template <class T>
__device__ __forceinline__ void fetch_columns(const VectorTensor& of, int64_t row, int64_t column, int first,
                                              int second, ColumnPiece (&pieces)[2]) {
  const FoldTensor& tensor = *of.tensor;
  const int line = threadIdx.x / (kColumnsAtOnce / kEight), place = threadIdx.x % (kColumnsAtOnce / kEight) * kEight;
  row += line;
  column += place;
  if (row >= of.rows || column >= of.columns) return;
  const int64_t i = row * of.columns + column, end = (row + 1) * of.columns;
  const auto load = [&](const Array& array, T(&out)[kEight]) {
    const bool whole = array.aligned && of.columns % kEight == 0;
    with_format<kAnyFormat>(array.dtype, [&]<DType D>() { load_eight<D, T>(array.data, i, end, whole, out); });
  };
  T base[kEight] = {}, values[2][kEight];
  load(tensor.models[first].array, values[0]);
  load(tensor.models[second].array, values[1]);
  if (tensor.base.data) load(tensor.base, base);
  FK_UNROLL
  for (int which = 0; which < 2; ++which) {
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) {
      const T value = values[which][j];
      pieces[which][line][place + j] = static_cast<double>(tensor.base.data ? value - base[j] : value);
    }
  }
}

// Products are added in the order of the rows, as the processor adds them. That order makes each sum one chain of
// additions, which no partial sums may shorten; what the chains wait for is fetched by all threads of the block, 16
// bytes each, many rows ahead. Of a block's warps three have chains: <first, second>, and the squares not summed yet.
template <class T>
__global__ void __launch_bounds__(kThreads) column_sums_kernel(const VectorTensor* there) {
  static_assert(kRowsAtOnce * kColumnsAtOnce == kThreads * kEight && 3 * kColumnsAtOnce <= kThreads);
  __shared__ ColumnPiece pieces[2];
  const VectorTensor& of = *there;
  const int count = of.tensor->count, chain = threadIdx.x / kColumnsAtOnce, column = threadIdx.x % kColumnsAtOnce;
  for (int64_t start = int64_t(blockIdx.x) * kColumnsAtOnce; start < of.columns;
       start += int64_t(gridDim.x) * kColumnsAtOnce) {
    for (int first = 0; first == 0 || first + 1 < count; ++first) {
      for (int second = count == 1 ? 0 : first + 1; second < count; ++second) {
        // Every pair is met once; a model's square is summed at the first pair of it, the last one's at the last.
        const bool sums[] = {first < second, second <= first + 1, first < second && first + 2 == count};
        const int left = chain == 2 ? second : first, right = chain == 1 ? first : second;
        const bool mine = chain < 3 && sums[chain % 3] && start + column < of.columns;
        const int64_t pair = int64_t(left) * count - int64_t(left) * (left - 1) / 2 + (right - left);
        double* const sum = of.sums + pair * of.columns + start + column;
        const ColumnPiece &ours = pieces[left == first ? 0 : 1], &others = pieces[right == first ? 0 : 1];
        double total = mine && of.continues ? *sum : 0;
        for (int64_t row = 0; row < of.rows; row += kRowsAtOnce) {
          fetch_columns<T>(of, row, start, first, second, pieces);
          __syncthreads();
          const int rows = of.rows - row < kRowsAtOnce ? int(of.rows - row) : kRowsAtOnce;
          if (mine) {
            FK_UNROLL
            for (int line = 0; line < rows; ++line) total += ours[line][column] * others[line][column];
          }
          __syncthreads();  // nobody fetches before everybody has added
        }
        if (mine) *sum = total;
      }
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
