// row_cuts.cuh: rows of a tensor as searches of their own, described where they are carried out, and what these found.
#pragma once
#include "cuda/ops/kernels.hpp"
#include "cuda/search.cuh"

namespace fk::cuda {

static __global__ void __launch_bounds__(kThreads)
    describe_rows_kernel(RowSearches rows, int bytes_of_element, int64_t first_row, int64_t count) {
  const int64_t chunks = pieces(rows.length, kChunk);
  for (int64_t row = int64_t(blockIdx.x) * kThreads + threadIdx.x; row < count; row += int64_t(gridDim.x) * kThreads) {
    const char* const data =
        static_cast<const char*>(rows.tensor.data) + (first_row + row) * rows.length * bytes_of_element;
    rows.models[row] = {};
    rows.models[row].array = {data, rows.tensor.dtype, reinterpret_cast<uintptr_t>(data) % 16 == 0};
    FoldTensor& tensor = rows.tensors[row];
    tensor = {};
    tensor.n = rows.length;
    tensor.count = 1;
    tensor.models = rows.models + row;
    CutSearch& search = rows.searches[row];
    search = {};
    search.tensors = rows.tensors + row;
    search.count = 1;
    search.chunks = chunks;
    search.n = rows.length;
    search.keep = rows.keep;
    search.entries = rows.entries + row * rows.capacity;
    search.capacity = rows.capacity;
    search.few = rows.few ? rows.few + row * kEntriesAlone : nullptr;
    search.equals = rows.equals + row * chunks * kHeavy;
    search.bins = rows.bins + row * kBins;
    search.limit = rows.limits + row;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    write_cuts_kernel(const Limit* limits, Limit all, int64_t count, T* thresholds, int64_t* last) {
  for (int64_t row = int64_t(blockIdx.x) * kThreads + threadIdx.x; row < count; row += int64_t(gridDim.x) * kThreads) {
    const Limit limit = limits ? limits[row] : all;
    constexpr IntOf<T> quiet = kInfinityBits<T> | IntOf<T>(1) << (sizeof(T) == 8 ? 51 : 22);
    thresholds[row] = bits_as<T>(limit.after < kNaNMagnitude<T> ? static_cast<IntOf<T>>(limit.after) : quiet);
    last[row] = limit.last;
  }
}

}  // namespace fk::cuda
