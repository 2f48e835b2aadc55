// scan.cuh: a tile's share of a search that the host conducts: histogram, place of an element, sums of what was
// counted.
//
// Collecting is select.cuh's, with a bracket the host has chosen.
#pragma once
#include "cuda/search.cuh"

namespace fk::cuda {

// Magnitudes of the bracket by their distance from its lower end, over 1 << bits; and how many lie above it.
template <class T>
__global__ void __launch_bounds__(kThreads) scan_histogram_kernel(CutSearch* searches) {
  __shared__ unsigned counts[kBins], above;
  CutSearch& search = searches[blockIdx.y];
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[bin] = 0;
  if (threadIdx.x == 0) above = 0;
  __syncthreads();
  const int64_t low = search.low, high = search.high;
  const int shift = search.bits;
  unsigned own = 0;
  for (int64_t chunk = blockIdx.x; chunk < search.chunks; chunk += gridDim.x)
    visit_chunk<T>(search, chunk, [&](const int64_t (&magnitudes)[kEight], int64_t, int count) {
      FK_UNROLL
      for (int j = 0; j < kEight; ++j) {
        if (j >= count || magnitudes[j] < low) continue;
        if (magnitudes[j] >= high)
          ++own;
        else
          atomicAdd(&counts[(magnitudes[j] - low) >> shift], 1u);
      }
    });
  if (own) atomicAdd(&above, own);
  __syncthreads();
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x)
    if (counts[bin]) atomicAdd(&search.bins[bin], (unsigned long long)(counts[bin]));
  if (threadIdx.x == 0 && above) atomicAdd(&search.above, (unsigned long long)(above));
}

// Where the rank-th element (from 1) of magnitude `low` lies; -1 where there are fewer.
template <class T>
__global__ void __launch_bounds__(kDecidingThreads) scan_pinpoint_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  const FoldTensor& tensor = search.tensors[0];
  const Delta delta{tensor.base, tensor.models[search.model].array};
  const auto equals = [&](int64_t i) { return uint64_t(ordered_magnitude(load_delta<T>(delta, i)) == search.low); };
  uint64_t own = 0;
  for (int64_t i = threadIdx.x; i < tensor.n; i += blockDim.x) own += equals(i);
  const bool exists = count_all(own) >= uint64_t(search.rank);
  const int64_t item = exists ? reach_count(equals, tensor.n, uint64_t(search.rank)).item : 0;
  if (threadIdx.x == 0) search.found->index = exists ? tensor.first - search.origin + item : -1;
}

static __global__ void __launch_bounds__(kDecidingThreads) scan_summary_kernel(CutSearch* searches) {
  const CutSearch& search = searches[blockIdx.x];
  ScanFound& of = *search.found;
  for (int which = 0; which < kHeavy; ++which) {
    uint64_t own = 0;
    if (search.equals)
      for (int64_t chunk = threadIdx.x; chunk < search.chunks; chunk += blockDim.x)
        own += search.equals[chunk * kHeavy + which];
    const uint64_t sum = count_all(own);
    if (threadIdx.x == 0) of.equal[which] = sum;
  }
  if (threadIdx.x == 0) {
    of.above = search.above;
    of.collected = search.collected;
    of.entries = search.entries;
  }
}

}  // namespace fk::cuda
