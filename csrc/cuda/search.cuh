// search.cuh: a cut's deltas as the passes that search for it see them, and how its place is told.
#pragma once
#include "cuda/decide.cuh"
#include "cuda/fold.cuh"

namespace fk::cuda {

template <class T>
inline constexpr int64_t kMagnitudeEnd = int64_t(kNaNMagnitude<T>) + 1;
template <class T>
inline constexpr int kMagnitudeBits = 8 * sizeof(T) - 1;

FK_FN int bit_width(uint64_t value) {
  int width = 0;
  while (width < 64 && value >> width) ++width;
  return width;
}

template <class T>
__device__ __forceinline__ int64_t magnitude_at(const CutSearch& search, int64_t element) {
  int low = 0;
  for (int width = search.count; width > 1;) {
    const int half = width / 2;
    if (search.tensors[low + half].first - search.origin <= element) low += half;
    width -= half;
  }
  const FoldTensor& tensor = search.tensors[low];
  return ordered_magnitude(
      load_delta<T>({tensor.base, tensor.models[search.model].array}, element - (tensor.first - search.origin)));
}

template <class T>
__device__ inline void settle(CutSearch& search, int64_t threshold, int64_t last) {
  constexpr int64_t highest = std::numeric_limits<IntOf<T>>::max();
  // Kernels compare magnitudes as they are, where a NaN may exceed the one the order knows: nothing exceeds that.
  const auto limit = [](int64_t value) { return value >= kMagnitudeEnd<T> - 1 ? highest : value; };
  // A cut at magnitude 0 looks for no index: a zero delta has nothing to keep.
  *search.limit = {threshold == 0 ? -1 : search.origin + last, limit(threshold - 1), limit(threshold)};
  search.done = true;
}

// Elements of one chunk of a search, eight a thread: visit(magnitudes, index of the first in the search, how many).
template <class T, class Visit>
__device__ __forceinline__ void visit_chunk(const CutSearch& search, int64_t chunk, Visit&& visit) {
  const FoldTensor& tensor = tensor_of(search.tensors, search.count, search.tensors[0].first_chunk + chunk);
  const int64_t start = (search.tensors[0].first_chunk + chunk - tensor.first_chunk) * kChunk;
  const int64_t end = start + kChunk < tensor.n ? start + kChunk : tensor.n;
  const int64_t before = tensor.first - search.origin;
  for (int64_t piece = start; piece < end; piece += kThreads * kEight) {
    const int64_t i = piece + int64_t(threadIdx.x) * kEight;
    T deltas[kEight] = {};
    if (i < end) load_deltas({tensor.base, tensor.models[search.model].array}, i, tensor.n, deltas);
    int64_t magnitudes[kEight];
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) magnitudes[j] = ordered_magnitude(deltas[j]);
    visit(magnitudes, before + i, i < end ? (end - i < kEight ? int(end - i) : kEight) : 0);
  }
}

// Index in the search of the wanted-th element (from 1) of a magnitude whose chunks are counted.
template <class T>
__device__ int64_t locate(const CutSearch& search, int which, int64_t magnitude, uint64_t wanted) {
  const Reached chunk =
      reach_count([&](int64_t i) { return uint64_t(search.equals[i * kHeavy + which]); }, search.chunks, wanted);
  const int64_t number = search.tensors[0].first_chunk + chunk.item;
  const FoldTensor& tensor = tensor_of(search.tensors, search.count, number);
  const int64_t start = (number - tensor.first_chunk) * kChunk;
  const int64_t n = start + kChunk < tensor.n ? kChunk : tensor.n - start;
  const Delta delta{tensor.base, tensor.models[search.model].array};
  const Reached element =
      reach_count([&](int64_t i) { return uint64_t(ordered_magnitude(load_delta<T>(delta, start + i)) == magnitude); },
                  n, chunk.left);
  return tensor.first - search.origin + start + element.item;
}

}  // namespace fk::cuda
