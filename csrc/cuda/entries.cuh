// entries.cuh: what a pass collected of a search's bracket, (magnitude, index) in one word, and the part that is left.
//
// Larger words are better ones: the magnitude's distance from the bracket's lower end, then the index from the last.
#pragma once
#include "cuda/search.cuh"

namespace fk::cuda {

FK_FN int index_bits(const CutSearch& search) { return bit_width(uint64_t(search.n - 1)); }
FK_FN bool entries_fit(const CutSearch& search) {
  return bit_width(uint64_t(search.high - search.low - 1)) + index_bits(search) <= 64;
}
// All there are were collected, and the rank is not above them.
FK_FN bool entries_usable(const CutSearch& search) {
  return !search.done && entries_fit(search) && int64_t(search.collected) <= search.capacity &&
         int64_t(search.above) < search.keep;
}

// More are left than one block looks through, or they were narrowed down to what it does.
FK_FN bool is_wide(const CutSearch& search) {
  const int64_t collected = int64_t(search.collected), left = search.part.count;
  return entries_usable(search) && (collected < left ? collected : left) > kEntriesAlone;
}
FK_FN bool is_narrow(const CutSearch& search) { return entries_usable(search) && search.part.count <= kEntriesAlone; }

FK_FN bool holds(const EntryPart& part, uint64_t entry) {  // below it the difference wraps round, to a large one
  return part.bits >= 64 || (entry - part.first) >> part.bits == 0;
}
FK_FN int bin_step(const EntryPart& part) { return part.bits > kBinBits ? part.bits - kBinBits : 0; }
// The entry that the first element of a heavy magnitude could have.
FK_FN uint64_t heavy_entry(const CutSearch& search, int which) {
  return (uint64_t(search.heavy[which] - search.low + 1) << index_bits(search)) - 1;
}
FK_FN bool holds_heavy(const CutSearch& search, int which) {
  return search.heavy[which] >= 0 && holds(search.part, heavy_entry(search, which));
}

// All threads of a block call it and get it.
__device__ inline int64_t count_heavy(const CutSearch& search, int which) {
  uint64_t own = 0;
  for (int64_t chunk = threadIdx.x; chunk < search.chunks; chunk += blockDim.x)
    own += search.equals[chunk * kHeavy + which];
  return int64_t(count_all(own));
}

// All that were collected, shared out among the blocks; a thread has several on their way to it at once.
template <class Visit>
__device__ __forceinline__ void visit_entries(const CutSearch& search, Visit&& visit) {
  const uint64_t* const entries = in_global_memory(search.entries);
  const int64_t count = int64_t(search.collected), step = int64_t(gridDim.x) * kThreads;
  for (int64_t start = int64_t(blockIdx.x) * kThreads + threadIdx.x; start < count; start += kFour * step) {
    uint64_t own[kFour];
    FK_UNROLL
    for (int j = 0; j < kFour; ++j) own[j] = start + j * step < count ? entries[start + j * step] : 0;
    FK_UNROLL
    for (int j = 0; j < kFour; ++j)
      if (start + j * step < count) visit(own[j]);
  }
}

}  // namespace fk::cuda
