// histogram.cuh: a cut found by histograms of eleven bits at a time: the way round, where select.cuh did not settle it.
#pragma once
#include "cuda/search.cuh"

namespace fk::cuda {

FK_FN int bin_shift(const CutSearch& search) { return search.bits > kBinBits ? search.bits - kBinBits : 0; }

template <class T>
__global__ void __launch_bounds__(kThreads) histogram_kernel(CutSearch* searches) {
  __shared__ unsigned counts[kBins];
  CutSearch& search = searches[blockIdx.y];
  if (search.done) return;
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[bin] = 0;
  __syncthreads();
  const int shift = bin_shift(search);
  const uint64_t low = uint64_t(search.low), width = uint64_t{1} << search.bits;
  for (int64_t chunk = blockIdx.x; chunk < search.chunks; chunk += gridDim.x)
    visit_chunk<T>(search, chunk, [&](const int64_t (&magnitudes)[kEight], int64_t, int count) {
      FK_UNROLL
      for (int j = 0; j < kEight; ++j) {
        const uint64_t place = uint64_t(magnitudes[j]) - low;  // below the bracket it wraps round, to a large one
        if (j < count && place < width) atomicAdd(&counts[place >> shift], 1u);
      }
    });
  __syncthreads();
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x)
    if (counts[bin]) atomicAdd(&search.bins[bin], (unsigned long long)(counts[bin]));
}

// Picks the bin that the rank falls into.
template <class T>
__global__ void __launch_bounds__(kDecidingThreads) narrow_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  if (search.done) return;
  const Reached bin =
      reach_count([&](int64_t i) { return uint64_t(search.bins[kBins - 1 - i]); }, kBins, uint64_t(search.rank) + 1);
  for (int i = threadIdx.x; i < kBins; i += blockDim.x) search.bins[i] = 0;
  if (threadIdx.x == 0) {
    const int shift = bin_shift(search);
    search.low += (kBins - 1 - bin.item) << shift;
    search.rank = int64_t(bin.left) - 1;
    search.bits = shift;
    if (shift == 0 && search.low == 0) settle<T>(search, 0, -1);
  }
}

// The magnitude is known: in which chunk does its last kept equal lie?
template <class T>
__global__ void __launch_bounds__(kThreads) count_equals_kernel(CutSearch* searches) {
  __shared__ unsigned equals;
  CutSearch& search = searches[blockIdx.y];
  if (search.done) return;
  for (int64_t chunk = blockIdx.x; chunk < search.chunks; chunk += gridDim.x) {
    if (threadIdx.x == 0) equals = 0;
    __syncthreads();
    unsigned own = 0;
    visit_chunk<T>(search, chunk, [&](const int64_t (&magnitudes)[kEight], int64_t, int count) {
      FK_UNROLL
      for (int j = 0; j < kEight; ++j) own += j < count && magnitudes[j] == search.low;
    });
    if (own) atomicAdd(&equals, own);
    __syncthreads();
    if (threadIdx.x == 0) search.equals[chunk * kHeavy] = equals;
    __syncthreads();
  }
}

template <class T>
__global__ void __launch_bounds__(kDecidingThreads) locate_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  if (search.done) return;
  const int64_t last = locate<T>(search, 0, search.low, uint64_t(search.rank) + 1);
  if (threadIdx.x == 0) settle<T>(search, search.low, last);
}

}  // namespace fk::cuda
