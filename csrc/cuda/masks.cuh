// masks.cuh: which deltas are kept, a bit each: drawn at random, or by the rank of their magnitude in their row.
#pragma once
#include "core/draws.hpp"
#include "cuda/decide.cuh"
#include "cuda/fold.cuh"

namespace fk::cuda {

static __global__ void __launch_bounds__(kThreads) draw_kernel(MaskBatch batch) {
  for (int64_t chunk = blockIdx.x; chunk < batch.chunks; chunk += gridDim.x) {
    const MaskTensor& of = tensor_of(batch.tensors, batch.count, chunk);
    const int64_t block = (chunk - of.first_chunk) * kThreads + threadIdx.x;
    const FoldModel& model = of.tensor->models[of.model];
    if (block * kEight < of.tensor->n)
      of.keep[block] = uint8_t(keep_eight(model.key, of.tensor->first / kEight + block, model.below));
  }
}

// ---- ranks ----------------------------------------------------------------------------------------------------------

inline constexpr int kRankBinBits = 8;  // of an octave
inline constexpr int kRankBins = 8 << kRankBinBits;

// Bins in the order of the magnitudes: one for 0, the topmost eight octaves in equal parts, all between in the second.
template <class T>
FK_FN int rank_bin(IntOf<T> magnitude, IntOf<T> largest) {
  constexpr int shift = (sizeof(T) == 8 ? 52 : 23) - kRankBinBits;
  const IntOf<T> top = largest >> shift, floor = top >= kRankBins - 2 ? top - (kRankBins - 2) : 0;
  const IntOf<T> place = (magnitude >> shift) - floor;
  return magnitude == 0 ? 0 : int(place > 0 ? place : 0) + 1;
}

// Of equal magnitudes the first has the higher rank.
template <class T>
__device__ int64_t rank_of(const Delta& delta, int64_t start, int64_t columns, int64_t column, IntOf<T> magnitude) {
  int64_t rank = 0;
  for (int64_t other = 0; other < columns; ++other) {
    const IntOf<T> found = ordered_magnitude(load_delta<T>(delta, start + other));
    rank += found < magnitude || (found == magnitude && other > column);
  }
  return rank;
}

template <class T>
__device__ __forceinline__ IntOf<T> largest_of(IntOf<T> own) {
  __shared__ IntOf<T> largest[kThreads];
  __syncthreads();
  largest[threadIdx.x] = own;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && largest[threadIdx.x + half] > largest[threadIdx.x])
      largest[threadIdx.x] = largest[threadIdx.x + half];
    __syncthreads();
  }
  return largest[0];
}

// Sets the bits of the elements of a warp that are kept, `first` the element of its first lane.
__device__ __forceinline__ void set_bits(uint8_t* keep, int64_t first, bool kept) {
  const unsigned bits = __ballot_sync(0xffffffffu, kept);
  if (threadIdx.x % 32 != 0 || bits == 0) return;
  auto* const words = reinterpret_cast<unsigned*>(keep);
  const int offset = int(first % 32);
  if (bits << offset) atomicOr(&words[first / 32], bits << offset);
  if (offset > 0 && bits >> (32 - offset)) atomicOr(&words[first / 32 + 1], bits >> (32 - offset));
}

// A block of threads a row. A histogram brackets every element's rank; only where the bracket does not decide is the
// rank counted.
template <class T>
__global__ void __launch_bounds__(kThreads) rank_kernel(MaskBatch batch) {
  __shared__ unsigned lower[kRankBins + 1];  // how many elements lie in lower bins
  for (int64_t row = blockIdx.x; row < batch.chunks; row += gridDim.x) {
    const MaskTensor& of = tensor_of(batch.tensors, batch.count, row);
    const FoldModel& model = of.tensor->models[of.model];
    const Delta delta{of.tensor->base, model.array};
    const int64_t columns = of.columns, start = (row - of.first_chunk) * columns;
    IntOf<T> own = 0;
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
      const IntOf<T> magnitude = ordered_magnitude(load_delta<T>(delta, start + c));
      own = magnitude > own ? magnitude : own;
    }
    const IntOf<T> largest = largest_of<T>(own);
    for (int bin = threadIdx.x; bin <= kRankBins; bin += kThreads) lower[bin] = 0;
    __syncthreads();
    for (int64_t c = threadIdx.x; c < columns; c += kThreads)
      atomicAdd(&lower[rank_bin<T>(ordered_magnitude(load_delta<T>(delta, start + c)), largest)], 1u);
    __syncthreads();
    constexpr int each = kRankBins / kThreads;
    unsigned counts[each], sum = 0;
    for (int i = 0; i < each; ++i) sum += counts[i] = lower[threadIdx.x * each + i];
    auto before = unsigned(count_before(sum));
    for (int i = 0; i < each; ++i) {
      lower[threadIdx.x * each + i] = before;
      before += counts[i];
    }
    if (threadIdx.x == kThreads - 1) lower[kRankBins] = before;
    __syncthreads();

    for (int64_t piece = 0; piece < columns; piece += kThreads) {
      const int64_t c = piece + threadIdx.x, element = of.tensor->first + start + c;
      bool kept = false;
      if (c < columns) {
        const IntOf<T> magnitude = ordered_magnitude(load_delta<T>(delta, start + c));
        const uint32_t draw = draw_eight(model.key, uint64_t(element / kEight))[int(element % kEight)];
        const auto kept_at = [&](int64_t rank) {
          if (columns == 1) return draw < kept_draws(of.density);
          const double place = static_cast<double>(rank) / static_cast<double>(columns - 1);
          return draw < kept_draws((of.density - of.epsilon) + (2 * of.epsilon) * place);
        };
        const int bin = rank_bin<T>(magnitude, largest);
        kept = kept_at(lower[bin]);
        if (!kept && kept_at(int64_t(lower[bin + 1]) - 1))
          kept = kept_at(rank_of<T>(delta, start, columns, c, magnitude));
      }
      set_bits(of.keep, start + piece + int64_t(threadIdx.x / 32) * 32, kept);
    }
    __syncthreads();
  }
}

}  // namespace fk::cuda
