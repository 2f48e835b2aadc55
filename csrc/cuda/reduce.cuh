// reduce.cuh: sums over a tensor, or over each of its rows, in the one order of summation every backend keeps.
//
// Blocks of 4096 elements from the vector's start are summed in double by 64 threads (thread l takes elements l, l +
// 64,
// ...), the threads by halves, the blocks by a pairwise tree over their numbers: see cpu/reduce.hpp.
#pragma once
#include "core/summation.hpp"
#include "cuda/fold.cuh"

namespace fk::cuda {

inline constexpr int kSumGroups = kThreads / kSumLanes;  // blocks of elements that a block of threads sums at once

// The sum of 64 neighbouring threads' values, in the first of them. All threads of the block take part.
__device__ __forceinline__ double add_lanes(double value) {
  __shared__ double halves[kThreads];
  __syncthreads();
  halves[threadIdx.x] = value;
  __syncthreads();
  const bool lower = threadIdx.x % kSumLanes < kSumLanes / 2;
  double sum = lower ? halves[threadIdx.x] + halves[threadIdx.x + kSumLanes / 2] : 0.0;
  for (int half = kSumLanes / 4; half > 0; half /= 2) sum += __shfl_down_sync(0xffffffffu, sum, half);
  return sum;
}

// Where in its tensor a group of threads works.
struct SumPlace {
  const SumTensor* of;  // null: nowhere, the launch has no block left for it
  int64_t first, end;   // elements of the tensor
  double* sums;
};
__device__ __forceinline__ SumPlace place_of(const SumBatch& batch, int64_t block) {
  if (block >= batch.blocks) return {nullptr, 0, 0, nullptr};
  const SumTensor& of = tensor_of(batch.tensors, batch.count, block);
  const int64_t own = block - of.first_chunk, vector = own / of.blocks, first = own % of.blocks * kSumBlock;
  const int64_t last = first + kSumBlock < of.length ? first + kSumBlock : of.length;
  const int64_t start = of.start + vector * of.length;
  return {&of, start + first, start + last, of.sums + own * of.width};
}

template <class T>
__device__ __forceinline__ T load_term(const FoldTensor& tensor, int k, int64_t i) {
  return load_delta<T>({tensor.base, tensor.models[k].array}, i);
}

// Dot products of all pairs of models, the upper triangle row by row.
template <class T>
__global__ void __launch_bounds__(kThreads) products_kernel(SumBatch batch, int most_models) {
  const int lane = threadIdx.x % kSumLanes;
  for (int64_t start = int64_t(blockIdx.x) * kSumGroups; start < batch.blocks;
       start += int64_t(gridDim.x) * kSumGroups) {
    const SumPlace place = place_of(batch, start + threadIdx.x / kSumLanes);
    const int count = place.of ? place.of->tensor->count : 0;
    int pair = 0;
    for (int j = 0; j < most_models; ++j) {
      for (int k = j; k < most_models; ++k) {  // the same for all threads: they meet in add_lanes
        const bool exists = k < count;
        double sum = 0;
        if (exists) {
          const FoldTensor& tensor = *place.of->tensor;
          for (int64_t i = place.first + lane; i < place.end; i += kSumLanes)
            sum += static_cast<double>(load_term<T>(tensor, j, i)) * static_cast<double>(load_term<T>(tensor, k, i));
        }
        sum = add_lanes(sum);
        if (exists && lane == 0) place.sums[pair] = sum;
        pair += exists;
      }
    }
  }
}

// <left, x_k> for every model, the values or deltas that load_term() gives.
template <class T>
__global__ void __launch_bounds__(kThreads) dots_kernel(SumBatch batch, Array left, int most_models) {
  const int lane = threadIdx.x % kSumLanes;
  for (int64_t start = int64_t(blockIdx.x) * kSumGroups; start < batch.blocks;
       start += int64_t(gridDim.x) * kSumGroups) {
    const SumPlace place = place_of(batch, start + threadIdx.x / kSumLanes);
    for (int k = 0; k < most_models; ++k) {  // the same for all threads: they meet in add_lanes
      const bool exists = place.of && k < place.of->tensor->count;
      double sum = 0;
      if (exists)
        for (int64_t i = place.first + lane; i < place.end; i += kSumLanes)
          sum += static_cast<double>(load_one<T>(left, i)) * static_cast<double>(load_term<T>(*place.of->tensor, k, i));
      sum = add_lanes(sum);
      if (exists && lane == 0) place.sums[k] = sum;
    }
  }
}

// L1 norms of every model's delta: of all elements, and of those that are kept.
template <class T>
__global__ void __launch_bounds__(kThreads) mass_kernel(SumBatch batch, int most_models) {
  const int lane = threadIdx.x % kSumLanes;
  for (int64_t start = int64_t(blockIdx.x) * kSumGroups; start < batch.blocks;
       start += int64_t(gridDim.x) * kSumGroups) {
    const SumPlace place = place_of(batch, start + threadIdx.x / kSumLanes);
    for (int k = 0; k < most_models; ++k) {
      const bool exists = place.of && k < place.of->tensor->count;
      double all = 0, kept = 0;
      if (exists) {
        const FoldTensor& tensor = *place.of->tensor;
        const uint8_t* const keep = tensor.models[k].keep;
        for (int64_t i = place.first + lane; i < place.end; i += kSumLanes) {
          const IntOf<T> magnitude = magnitude_bits(load_term<T>(tensor, k, i));
          bool counts = !keep || keep[i / 8] >> (i % 8) & 1;
          if (tensor.above) counts = counts && magnitude > limit_at<T>(tensor.above[k], tensor.first + i);
          if (tensor.ceiling) counts = counts && magnitude <= limit_at<T>(tensor.ceiling[k], tensor.first + i);
          const double size = static_cast<double>(bits_as<T>(magnitude));
          all += size;
          if (counts) kept += size;
        }
      }
      all = add_lanes(all);
      kept = add_lanes(kept);
      if (exists && lane == 0) {
        place.sums[2 * k] = all;
        place.sums[2 * k + 1] = kept;
      }
    }
  }
}

// The blocks' sums of every vector, level by level, an odd last one carried up. One block of threads a vector.
static __global__ void __launch_bounds__(kDecidingThreads) tree_kernel(SumBatch batch) {
  for (int64_t vector = blockIdx.x; vector < batch.vectors; vector += gridDim.x) {
    const SumTensor& of = tensor_of<&SumTensor::first_vector>(batch.tensors, batch.count, vector);
    const int64_t own = vector - of.first_vector;
    double* const sums = of.sums + own * of.blocks * of.width;
    for (int64_t count = of.blocks, stride = 1; count > 1; count = (count + 1) / 2, stride *= 2) {
      for (int64_t item = threadIdx.x; item < count / 2 * of.width; item += blockDim.x) {
        const int64_t left = item / of.width * 2 * stride * of.width + item % of.width;
        sums[left] += sums[left + stride * of.width];
      }
      __syncthreads();
    }
    for (int64_t i = threadIdx.x; i < of.width; i += blockDim.x) of.totals[own * of.width + i] = sums[i];
  }
}

// What each model's kept deltas are multiplied by, from its two norms: as FoldRun::factors_by_mass().
static __global__ void factors_kernel(SumBatch batch) {
  const SumTensor& of = batch.tensors[blockIdx.x];
  double* const factors = const_cast<double*>(of.tensor->factors);
  for (int k = threadIdx.x; k < of.tensor->count; k += blockDim.x) {
    const double all = of.totals[2 * k], kept = of.totals[2 * k + 1], factor = all / kept;
    factors[k] = kept > 0 && factor - factor == 0 ? factor : 1.0;
  }
}

}  // namespace fk::cuda
