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

// Bins in the order of the magnitudes: one for 0, one for each octave (of double, for eight octaves) far below the
// row's largest, 128 for each of the six topmost octaves.
inline constexpr int kFineOctaves = 6, kFineBits = 7, kCoarseBins = 258;
inline constexpr int kRankBins = 1280;

template <class T>
FK_FN int rank_bin(IntOf<T> magnitude, IntOf<T> largest) {
  constexpr int mantissa = sizeof(T) == 8 ? 52 : 23, octaves_a_bin = sizeof(T) == 8 ? 3 : 0;
  if (magnitude == 0) return 0;
  const IntOf<T> octave = magnitude >> mantissa, top = largest >> mantissa;
  const IntOf<T> first_fine = top >= kFineOctaves ? top - kFineOctaves + 1 : 0;
  if (octave < first_fine) return 1 + int(octave >> octaves_a_bin);
  return kCoarseBins + int((magnitude >> (mantissa - kFineBits)) - (first_fine << kFineBits));
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

// Whether an element of that rank is kept.
__device__ __forceinline__ bool kept_at(const MaskTensor& of, uint32_t draw, int64_t rank) {
  if (of.columns == 1) return draw < kept_draws(of.density);
  const double place = static_cast<double>(rank) / static_cast<double>(of.columns - 1);
  return draw < kept_draws((of.density - of.epsilon) + (2 * of.epsilon) * place);
}

__device__ __forceinline__ uint32_t draw_one(const MaskTensor& of, int64_t i) {
  const int64_t element = of.tensor->first + i;
  return draw_eight(of.tensor->models[of.model].key, uint64_t(element / kEight))[int(element % kEight)];
}

// Rows of up to kShortRow elements: a thread an element.
template <class T>
__global__ void __launch_bounds__(kThreads) rank_short_kernel(MaskBatch batch) {
  for (int64_t chunk = blockIdx.x; chunk < batch.chunks; chunk += gridDim.x) {
    const MaskTensor& of = tensor_of(batch.tensors, batch.count, chunk);
    const Delta delta{of.tensor->base, of.tensor->models[of.model].array};
    const int64_t i = (chunk - of.first_chunk) * kThreads + threadIdx.x, column = i % of.columns;
    bool kept = false;
    if (i < of.tensor->n) {
      const uint32_t draw = draw_one(of, i);
      kept = kept_at(of, draw, 0);
      if (!kept && kept_at(of, draw, of.columns - 1))
        kept = kept_at(of, draw,
                       rank_of<T>(delta, i - column, of.columns, column, ordered_magnitude(load_delta<T>(delta, i))));
    }
    set_bits(of.keep, i - threadIdx.x % 32, kept);
  }
}

// A row's histogram.
template <class T>
struct RankBins {
  unsigned lower[kRankBins + 1];  // how many elements lie in lower bins
  unsigned later[kRankBins];      // how many elements of the bin lie further on in the row
  IntOf<T> least[kRankBins], most[kRankBins];
  int of_thread[kThreads];  // the bins of the elements at hand, -1 beyond the row
};

template <class T>
__device__ void fill(RankBins<T>& bins, const Delta& delta, int64_t start, int64_t columns, IntOf<T> largest) {
  for (int bin = threadIdx.x; bin < kRankBins; bin += kThreads) {
    bins.lower[bin] = bins.later[bin] = 0;
    bins.least[bin] = std::numeric_limits<IntOf<T>>::max();
    bins.most[bin] = 0;
  }
  __syncthreads();
  using Bits = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;  // as atomics know them
  for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
    const IntOf<T> magnitude = ordered_magnitude(load_delta<T>(delta, start + c));
    const int bin = rank_bin<T>(magnitude, largest);
    atomicAdd(&bins.lower[bin], 1u);
    atomicMin(reinterpret_cast<Bits*>(&bins.least[bin]), static_cast<Bits>(magnitude));
    atomicMax(reinterpret_cast<Bits*>(&bins.most[bin]), static_cast<Bits>(magnitude));
  }
  __syncthreads();
  constexpr int each = kRankBins / kThreads;
  unsigned counts[each], sum = 0;
  for (int i = 0; i < each; ++i) sum += counts[i] = bins.lower[threadIdx.x * each + i];
  auto before = unsigned(count_before(sum));
  for (int i = 0; i < each; ++i) {
    bins.lower[threadIdx.x * each + i] = before;
    before += counts[i];
  }
  if (threadIdx.x == kThreads - 1) bins.lower[kRankBins] = before;
  __syncthreads();
}

// A block of threads a row. A histogram brackets every element's rank. Only where the bracket does not decide is the
// rank counted: in a bin of equals by how many of them lie further on, which is known since rows are walked from their
// ends; else over the whole row.
template <class T>
__global__ void __launch_bounds__(kThreads) rank_kernel(MaskBatch batch) {
  __shared__ RankBins<T> bins;
  for (int64_t row = blockIdx.x; row < batch.chunks; row += gridDim.x) {
    const MaskTensor& of = tensor_of(batch.tensors, batch.count, row);
    const Delta delta{of.tensor->base, of.tensor->models[of.model].array};
    const int64_t columns = of.columns, start = (row - of.first_chunk) * columns;
    IntOf<T> own = 0;
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
      const IntOf<T> magnitude = ordered_magnitude(load_delta<T>(delta, start + c));
      own = magnitude > own ? magnitude : own;
    }
    const IntOf<T> largest = largest_of<T>(own);
    fill<T>(bins, delta, start, columns, largest);

    for (int64_t piece = (columns - 1) / kThreads * kThreads; piece >= 0; piece -= kThreads) {
      const int64_t c = piece + threadIdx.x;
      const IntOf<T> magnitude = c < columns ? ordered_magnitude(load_delta<T>(delta, start + c)) : 0;
      const int bin = c < columns ? rank_bin<T>(magnitude, largest) : -1;
      bins.of_thread[threadIdx.x] = bin;
      __syncthreads();
      bool kept = false;
      if (bin >= 0) {
        const uint32_t draw = draw_one(of, start + c);
        kept = kept_at(of, draw, bins.lower[bin]);
        if (!kept && kept_at(of, draw, int64_t(bins.lower[bin + 1]) - 1)) {
          int64_t rank;
          if (bins.least[bin] == bins.most[bin]) {
            rank = int64_t(bins.lower[bin]) + bins.later[bin];
            for (int thread = int(threadIdx.x) + 1; thread < kThreads; ++thread) rank += bins.of_thread[thread] == bin;
          } else {
            rank = rank_of<T>(delta, start, columns, c, magnitude);
          }
          kept = kept_at(of, draw, rank);
        }
      }
      set_bits(of.keep, start + piece + int64_t(threadIdx.x / 32) * 32, kept);
      __syncthreads();
      if (bin >= 0) atomicAdd(&bins.later[bin], 1u);
    }
    __syncthreads();
  }
}

}  // namespace fk::cuda
