// settle.cuh: the cut among the entries that were collected, narrowed down by all blocks first where they are many.
//
// The bracket of a large tensor holds millions of entries, which one block would look through for longer than all took
// to collect them. So they are counted by eleven bits of theirs at a time, from the top, until few share the bits the
// cut has; those are gathered, and one block finishes. Heavy magnitudes have no entries: what was counted of them takes
// part at the place of their first element.
#pragma once
#include "cuda/entries.cuh"

namespace fk::cuda {

// Entries of the part that may hold the cut, by eleven bits.
static __global__ void __launch_bounds__(kThreads) count_entries_kernel(CutSearch* searches) {
  __shared__ unsigned counts[kBins];
  CutSearch& search = searches[blockIdx.y];
  if (!is_wide(search)) return;
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[bin] = 0;
  __syncthreads();
  const EntryPart part = search.part;
  const int step = bin_step(part);
  visit_entries(search, [&](uint64_t entry) {
    if (holds(part, entry)) atomicAdd(&counts[(entry - part.first) >> step], 1u);
  });
  __syncthreads();
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x)
    if (counts[bin]) atomicAdd(&search.bins[bin], (unsigned long long)(counts[bin]));
}

// Picks the bin that the rank falls into. A rank beyond all there is leaves no entries, and so is for histograms.
static __global__ void __launch_bounds__(kDecidingThreads) narrow_entries_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  if (!is_wide(search)) return;
  EntryPart part = search.part;
  const int step = bin_step(part);
  int64_t place[kHeavy], equals[kHeavy];  // bins and numbers of heavy magnitudes
  uint64_t own = 0;
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x) own += search.bins[bin];
  uint64_t all = count_all(own);
  for (int which = 0; which < kHeavy; ++which) {
    const bool inside = holds_heavy(search, which);
    place[which] = inside ? int64_t((heavy_entry(search, which) - part.first) >> step) : -1;
    equals[which] = inside ? count_heavy(search, which) : 0;
    all += uint64_t(equals[which]);
  }
  const auto wanted = uint64_t(search.keep - int64_t(search.above) - part.above);
  const auto count_of = [&](int64_t item) {
    uint64_t count = search.bins[kBins - 1 - item];
    FK_UNROLL
    for (int which = 0; which < kHeavy; ++which)
      if (place[which] == kBins - 1 - item) count += uint64_t(equals[which]);
    return count;
  };
  part.count = 0;
  if (wanted <= all) {
    const Reached reached = reach_count(count_of, kBins, wanted);
    const int64_t bin = kBins - 1 - reached.item;
    part.first += uint64_t(bin) << step;
    part.bits = step;
    part.above += int64_t(wanted - reached.left);
    part.count = int64_t(search.bins[bin]);
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < kBins; bin += blockDim.x) search.bins[bin] = 0;
  if (threadIdx.x == 0) search.part = part;
}

static __global__ void __launch_bounds__(kThreads) gather_entries_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.y];
  if (!is_narrow(search) || search.part.count == 0) return;
  const EntryPart part = search.part;
  visit_entries(search, [&](uint64_t entry) {
    if (holds(part, entry)) search.few[atomicAdd(&search.gathered, 1ull)] = entry;
  });
}

template <class T>
__global__ void __launch_bounds__(kDecidingThreads) settle_kernel(CutSearch* searches) {
  CutSearch& search = searches[blockIdx.x];
  if (search.done) return;
  const EntryPart& part = search.part;
  const bool few = is_narrow(search);
  const uint64_t* const entries = few ? search.few : search.entries;
  const int64_t count = few ? part.count : int64_t(search.collected);
  int64_t rank = search.keep - int64_t(search.above) - 1 - part.above;  // from 0, in the part
  const int shift = index_bits(search);
  if (entries_usable(search) && rank >= 0) {
    // Walk down the part: heavy magnitudes, and what was collected between them.
    int64_t passed = 0;  // entries above
    for (int which = 0; which <= kHeavy; ++which) {
      const int64_t heavy = which < kHeavy ? search.heavy[which] : -1;
      if (which < kHeavy && !holds_heavy(search, which)) continue;
      const uint64_t least = heavy < 0 ? 0 : uint64_t(heavy - search.low + 1) << shift;  // of the entries above it
      uint64_t own = 0;
      for (int64_t i = threadIdx.x; i < count; i += blockDim.x) own += entries[i] >= least;
      const int64_t between = int64_t(count_all(own)) - passed;
      if (rank < between) {
        const auto at = [&](int64_t i) { return entries[i] - part.first; };
        const uint64_t entry = part.first + key_of_rank(at, count, passed + rank, part.bits);
        const uint64_t mask = (uint64_t{1} << shift) - 1;
        if (threadIdx.x == 0) settle<T>(search, search.low + int64_t(entry >> shift), int64_t(mask - (entry & mask)));
        return;
      }
      rank -= between;
      passed += between;
      if (heavy < 0) break;
      const int64_t equals = count_heavy(search, which);
      if (rank < equals) {
        const int64_t last = heavy == 0 ? -1 : locate<T>(search, which, heavy, uint64_t(rank) + 1);
        if (threadIdx.x == 0) settle<T>(search, heavy, last);
        return;
      }
      rank -= equals;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {  // histograms, from all magnitudes
    search.low = 0;
    search.bits = kMagnitudeBits<T>;
    search.rank = search.keep - 1;
  }
}

}  // namespace fk::cuda
