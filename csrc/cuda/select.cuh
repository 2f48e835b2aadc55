// select.cuh: the exact k-th largest magnitude of deltas, and the index of the last kept equal, without the host.
//
// A sample brackets the cut; one pass over the deltas counts what lies above the bracket and collects what lies inside
// it, but for the magnitudes at the bracket's ends and middle, which are only counted, chunk by chunk: heavy ties sit
// there. One block then settles the rank (see settle.cuh). Where the sample misled or the room was too small,
// histograms find it instead (see histogram.cuh); their kernels end at once where all is settled. The answer is unique
// (larger magnitude first, lower index first among equals), so the way to it cannot show.
#pragma once
#include "cuda/entries.cuh"

namespace fk::cuda {

// Evenly spaced elements could fall on the same columns of every row: each is moved a little.
FK_FN double jitter(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// What one block can look through at once needs no bracket.
template <class T>
__device__ void settle_small(CutSearch& search) {
  const auto at = [&](int64_t i) { return uint64_t(magnitude_at<T>(search, i)); };
  const uint64_t threshold = key_of_rank(at, search.n, search.keep - 1, kMagnitudeBits<T>);
  uint64_t own = 0;
  for (int64_t i = threadIdx.x; i < search.n; i += blockDim.x) own += at(i) > threshold;
  const uint64_t above = count_all(own);
  const Reached last =
      reach_count([&](int64_t i) { return uint64_t(at(i) == threshold); }, search.n, uint64_t(search.keep) - above);
  if (threadIdx.x == 0) settle<T>(search, int64_t(threshold), last.item);
}

// ---- the bracket ----------------------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kDecidingThreads) bracket_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  if (search.n <= kFewestEntries) return settle_small<T>(search);
  const int64_t size = kSample < search.n / 4 ? kSample : search.n / 4;
  const double spacing = static_cast<double>(search.n) / static_cast<double>(size);
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    const auto element = static_cast<int64_t>((static_cast<double>(i) + jitter(uint64_t(i))) * spacing);
    search.entries[i] = uint64_t(magnitude_at<T>(search, element < search.n ? element : search.n - 1));
  }
  __syncthreads();
  // Four standard errors to either side.
  const double share = static_cast<double>(search.keep) / static_cast<double>(search.n);
  const double rank = share * static_cast<double>(size);
  const double margin = 4 * sqrt(rank * (1 - share)) + 4;
  const auto from = static_cast<int64_t>(rank - margin), to = static_cast<int64_t>(rank + margin) + 1;
  const auto at = [&](int64_t place) {
    return int64_t(key_of_rank([&](int64_t i) { return search.entries[i]; }, size, place, kMagnitudeBits<T>));
  };
  const int64_t middle = at(static_cast<int64_t>(rank) < size ? static_cast<int64_t>(rank) : size - 1);
  const int64_t upper = rank - margin < 0 ? -1 : at(from), lower = to >= size ? -1 : at(to);
  if (threadIdx.x == 0) {
    search.high = upper < 0 ? kMagnitudeEnd<T> : upper + 1;
    search.low = lower < 0 ? 0 : lower;
    search.heavy[0] = upper;
    search.heavy[1] = middle == upper ? -1 : middle;
    search.heavy[2] = lower == upper || lower == middle ? -1 : lower;
    search.part = {0, bit_width(uint64_t(search.high - search.low - 1)) + index_bits(search), 0, INT64_MAX};
    search.gathered = 0;
  }
}

// ---- one pass over the deltas ---------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kThreads) collect_kernel(CutSearch* searches) {
  constexpr unsigned kStep = kThreads * kEight;  // entries that one step may add
  __shared__ uint64_t buffer[2 * kStep];
  __shared__ unsigned held, counts[1 + kHeavy];
  __shared__ unsigned long long place;
  CutSearch& search = searches[blockIdx.y];
  if (search.done || !entries_fit(search)) return;
  const int64_t low = search.low, high = search.high;
  const int shift = index_bits(search);
  const uint64_t index_mask = (uint64_t{1} << shift) - 1;
  const auto flush = [&] {
    if (threadIdx.x == 0) place = atomicAdd(&search.collected, (unsigned long long)(held));
    __syncthreads();
    for (unsigned i = threadIdx.x; i < held; i += blockDim.x)
      if (int64_t(place + i) < search.capacity) search.entries[place + i] = buffer[i];
    __syncthreads();
    if (threadIdx.x == 0) held = 0;
    __syncthreads();
  };
  for (int64_t chunk = blockIdx.x; chunk < search.chunks; chunk += gridDim.x) {
    if (threadIdx.x == 0) held = 0;
    if (threadIdx.x <= kHeavy) counts[threadIdx.x] = 0;
    __syncthreads();
    unsigned above = 0, equal[kHeavy] = {};
    visit_chunk<T>(search, chunk, [&](const int64_t (&magnitudes)[kEight], int64_t first, int count) {
      FK_UNROLL
      for (int j = 0; j < kEight; ++j) {
        const int64_t magnitude = magnitudes[j];
        if (j >= count || magnitude < low) continue;
        if (magnitude >= high)
          ++above;
        else if (magnitude == search.heavy[0])
          ++equal[0];
        else if (magnitude == search.heavy[1])
          ++equal[1];
        else if (magnitude == search.heavy[2])
          ++equal[2];
        else
          buffer[atomicAdd(&held, 1u)] = uint64_t(magnitude - low) << shift | (index_mask - uint64_t(first + j));
      }
      __syncthreads();
      const bool full = held > kStep;
      __syncthreads();  // nobody adds before everybody has looked
      if (full) flush();
    });
    if (above) atomicAdd(&counts[0], above);
    FK_UNROLL
    for (int which = 0; which < kHeavy; ++which)
      if (equal[which]) atomicAdd(&counts[1 + which], equal[which]);
    __syncthreads();
    if (threadIdx.x == 0 && counts[0]) atomicAdd(&search.above, (unsigned long long)(counts[0]));
    if (threadIdx.x < kHeavy) search.equals[chunk * kHeavy + threadIdx.x] = counts[1 + threadIdx.x];
    flush();
  }
}

}  // namespace fk::cuda
