// kernels.cu: how many blocks each kernel is launched with.
#include "cuda/kernels.hpp"

#include <algorithm>
#include <cstring>

#include "core/gram_fold.hpp"
#include "cuda/histogram.cuh"
#include "cuda/masks.cuh"
#include "cuda/reduce.cuh"
#include "cuda/scan.cuh"
#include "cuda/select.cuh"
#include "cuda/settle.cuh"
#include "cuda/store.cuh"
#include "cuda/vectors.cuh"

namespace fk::cuda {
namespace {

dim3 streaming_grid(int64_t chunks, const Queue& queue) { return dim3(blocks_for(chunks, queue)); }

// That entries of a search through n elements have at most, where they are used.
template <class T>
int entry_bits(int64_t n) {
  return std::min(64, kMagnitudeBits<T> + bit_width(static_cast<uint64_t>(n - 1)));
}

template <class T>
void find_cuts_of(const CutBatch& batch, const Queue& queue) {
  constexpr int64_t kMost = 65535;  // of a grid's second dimension
  for (int64_t first = 0; first < batch.count; first += kMost) {
    const auto count = static_cast<unsigned>(std::min(kMost, batch.count - first));
    CutSearch* const searches = batch.searches + first;
    const dim3 each(blocks_for(batch.chunks, queue), count);
    const auto decide = [&](auto* kernel) {
      launch(kernel, dim3(count), dim3(kDecidingThreads), queue.stream, searches);
    };
    // Most have nothing to do here: blocks that end at once cost time too, where they are many for each of many
    // searches.
    const dim3 some(std::min(each.x, std::max(kFewestBlocks, blocks_for(INT64_MAX, queue) / count)), count);
    const auto launch_on = [&](dim3 grid, auto* kernel) {
      launch(kernel, grid, dim3(kThreads), queue.stream, searches);
    };
    const auto stream = [&](auto* kernel) { launch_on(some, kernel); };
    decide(bracket_kernel<T>);
    if (batch.n <= kFewestEntries) continue;  // settled
    launch_on(each, collect_kernel<T>);
    if (narrows(batch.n)) {
      for (int bits = entry_bits<T>(batch.n); bits > kEntriesAloneBits; bits -= kBinBits) {
        stream(count_entries_kernel);
        decide(narrow_entries_kernel);
      }
      stream(gather_entries_kernel);
    }
    decide(settle_kernel<T>);
    for (int bits = kMagnitudeBits<T>; bits > 0; bits -= kBinBits) {
      stream(histogram_kernel<T>);
      decide(narrow_kernel<T>);
    }
    stream(count_equals_kernel<T>);
    decide(locate_kernel<T>);
  }
}

template <class T>
void scan_tile_of(ScanPass pass, std::span<const CutSearch> here, CutSearch* there, const Queue& queue) {
  const auto count = static_cast<unsigned>(here.size());
  const dim3 each(blocks_for(here[0].chunks, queue), count);
  const auto decide = [&](auto* kernel) { launch(kernel, dim3(count), dim3(kDecidingThreads), queue.stream, there); };
  if (pass == ScanPass::pinpoint) return decide(scan_pinpoint_kernel<T>);
  launch(pass == ScanPass::collect ? collect_kernel<T> : scan_histogram_kernel<T>, each, dim3(kThreads), queue.stream,
         there);
  decide(scan_summary_kernel);
}

void add_blocks(const SumBatch& batch, const Queue& queue) {
  launch(tree_kernel, dim3(unsigned(std::min<int64_t>(batch.vectors, 1 << 20))), dim3(kDecidingThreads), queue.stream,
         batch);
}

dim3 sum_grid(const SumBatch& batch, const Queue& queue) {
  return streaming_grid((batch.blocks + kSumGroups - 1) / kSumGroups, queue);
}

}  // namespace

LaunchFold gram_fold_kernel(bool deltas) { return deltas ? &launch_fold<GramDeltaSum> : &launch_fold<GramSum>; }

void find_cuts(const CutBatch& batch, bool f64, const Queue& queue) {
  f64 ? find_cuts_of<double>(batch, queue) : find_cuts_of<float>(batch, queue);
}

void scan_tile(ScanPass pass, std::span<const CutSearch> here, CutSearch* there, bool f64, const Queue& queue) {
  f64 ? scan_tile_of<double>(pass, here, there, queue) : scan_tile_of<float>(pass, here, there, queue);
}

void sum_products(const SumBatch& batch, int most_models, bool f64, const Queue& queue) {
  launch(f64 ? products_kernel<double> : products_kernel<float>, sum_grid(batch, queue), dim3(kThreads), queue.stream,
         batch, most_models);
  add_blocks(batch, queue);
}

void sum_dots(const SumBatch& batch, const Array& left, int most_models, bool f64, const Queue& queue) {
  launch(f64 ? dots_kernel<double> : dots_kernel<float>, sum_grid(batch, queue), dim3(kThreads), queue.stream, batch,
         left, most_models);
  add_blocks(batch, queue);
}

void sum_masses(const SumBatch& batch, int most_models, bool f64, const Queue& queue) {
  launch(f64 ? mass_kernel<double> : mass_kernel<float>, sum_grid(batch, queue), dim3(kThreads), queue.stream, batch,
         most_models);
  add_blocks(batch, queue);
}

void find_factors(const SumBatch& batch, const Queue& queue) {
  launch(factors_kernel, dim3(unsigned(batch.count)), dim3(32), queue.stream, batch);
}

void draw_masks(const MaskBatch& batch, const Queue& queue) {
  launch(draw_kernel, streaming_grid(batch.chunks, queue), dim3(kThreads), queue.stream, batch);
}

void rank_rows(const MaskBatch& batch, bool f64, const Queue& queue) {
  launch(f64 ? rank_kernel<double> : rank_kernel<float>, streaming_grid(batch.chunks, queue), dim3(kThreads),
         queue.stream, batch);
}

void rank_short_rows(const MaskBatch& batch, bool f64, const Queue& queue) {
  launch(f64 ? rank_short_kernel<double> : rank_short_kernel<float>, streaming_grid(batch.chunks, queue),
         dim3(kThreads), queue.stream, batch);
}

void sum_columns(const VectorTensor& here, const VectorTensor* there, bool f64, const Queue& queue) {
  launch(f64 ? column_sums_kernel<double> : column_sums_kernel<float>,
         streaming_grid(pieces(here.columns, kColumnsAtOnce), queue), dim3(kThreads), queue.stream, there);
}

void sum_vectors(const VectorBatch& batch, bool f64, const Queue& queue) {
  launch(f64 ? vector_sum_kernel<double> : vector_sum_kernel<float>, streaming_grid(batch.chunks, queue),
         dim3(kThreads), queue.stream, batch);
}

void store(std::span<const char> bytes, char* to, const Queue& queue) {
  for (size_t first = 0; first < bytes.size(); first += Parcel::kBytes) {
    const size_t size = std::min<size_t>(Parcel::kBytes, bytes.size() - first);
    Parcel parcel{};
    std::memcpy(parcel.words, bytes.data() + first, size);
    launch(store_kernel, dim3(1), dim3(kThreads), queue.stream, parcel, reinterpret_cast<uint4*>(to + first),
           int((size + sizeof(uint4) - 1) / sizeof(uint4)));
  }
}

}  // namespace fk::cuda
