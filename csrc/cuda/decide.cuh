// decide.cuh: what one block of threads finds out alone: the k-th of many keys, and where a count is reached.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/tuning.cuh"

namespace fk::cuda {

// The key of that rank, 0 for the largest, among key_at(0) ... key_at(n - 1), which have `bits` bits. Eight bits of the
// answer at a time, from the top. All threads call it and get it.
template <class KeyAt>
__device__ uint64_t key_of_rank(const KeyAt& key_at, int64_t n, int64_t rank, int bits) {
  constexpr int kDigits = 256;
  __shared__ unsigned bins[kDigits];
  __shared__ int64_t left;
  __shared__ int chosen;
  uint64_t found = 0, decided = 0;
  for (int shift = (bits + 7) / 8 * 8 - 8; shift >= 0; shift -= 8) {
    __syncthreads();
    for (int digit = threadIdx.x; digit < kDigits; digit += blockDim.x) bins[digit] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const uint64_t key = key_at(i);
      if ((key & decided) == found) atomicAdd(&bins[key >> shift & (kDigits - 1)], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = kDigits - 1;
      for (; digit > 0 && rank >= bins[digit]; --digit) rank -= bins[digit];
      chosen = digit;
      left = rank;
    }
    __syncthreads();
    rank = left;
    found |= uint64_t(chosen) << shift;
    decided |= uint64_t(kDigits - 1) << shift;
  }
  return found;
}

// How many the threads before this one have, counted in their order.
__device__ inline uint64_t count_before(uint64_t own) {
  __shared__ unsigned long long sums[kDecidingThreads];
  __syncthreads();
  sums[threadIdx.x] = own;
  __syncthreads();
  for (unsigned reach = 1; reach < blockDim.x; reach *= 2) {
    const unsigned long long more = threadIdx.x >= reach ? sums[threadIdx.x - reach] : 0;
    __syncthreads();
    sums[threadIdx.x] += more;
    __syncthreads();
  }
  return sums[threadIdx.x] - own;
}

// How many all threads have together.
__device__ inline uint64_t count_all(uint64_t own) {
  __shared__ unsigned long long sum;
  __syncthreads();
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  if (own) atomicAdd(&sum, (unsigned long long)(own));
  __syncthreads();
  return sum;
}

// The item in which the `wanted`-th (from 1) of all that count_of(0) ... count_of(n - 1) count is met, and how many of
// `wanted` are left when it is reached. All threads call it and get it.
struct Reached {
  int64_t item;
  uint64_t left;
};
template <class CountOf>
__device__ Reached reach_count(const CountOf& count_of, int64_t n, uint64_t wanted) {
  __shared__ Reached reached;
  const int64_t each = (n + blockDim.x - 1) / blockDim.x;
  const int64_t first = each * threadIdx.x < n ? each * threadIdx.x : n;
  const int64_t end = first + each < n ? first + each : n;
  uint64_t own = 0;
  for (int64_t item = first; item < end; ++item) own += count_of(item);
  const uint64_t before = count_before(own);
  if (before < wanted && wanted <= before + own) {
    uint64_t left = wanted - before;
    int64_t item = first;
    while (left > count_of(item)) left -= count_of(item++);
    reached = {item, left};
  }
  __syncthreads();
  const Reached answer = reached;
  __syncthreads();
  return answer;
}

}  // namespace fk::cuda
