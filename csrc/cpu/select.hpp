// select.hpp: the passes over a span of deltas that the k-th magnitude is found with (see statistics/selector.hpp).
#pragma once
#include "cpu/deltas.hpp"
#include "cpu/isa.hpp"
#include "statistics/selector.hpp"

namespace fk {

// One pass over a block: count and, as the pass asks, collect or tally what is inside the bracket.
struct ScanCall {
  DeltaSpan span;
  bool f64;           // magnitudes of double deltas, 63 bits; otherwise of float deltas, 31 bits
  int64_t low, high;  // the bracket: low <= magnitude < high
  int64_t first_index;
  int index_bits;
  uint64_t* entries;  // collect: room for span.n; null counts only
  uint32_t* bins;     // histogram: of (magnitude - low) >> shift
  int shift;
};
struct ScanCount {
  int64_t above = 0, inside = 0;  // magnitudes >= high, and in the bracket
};

// An entry orders elements: the larger magnitude first, the lower index first among equals.
constexpr uint64_t index_mask(int index_bits) { return (uint64_t{1} << index_bits) - 1; }
FK_FN uint64_t make_entry(int64_t magnitude, int64_t low, int64_t index, int index_bits) {
  return uint64_t(magnitude - low) << index_bits | (index_mask(index_bits) - uint64_t(index));
}

// One tile's share of the selector's current pass. `tile` is its number, `first_index` its first element's index.
void scan_tile(Selector& selector, const DeltaSpan& span, int64_t first_index, int64_t tile, bool f64, Isa isa);

void magnitudes(const DeltaSpan& span, bool f64, int64_t* out);

constexpr int64_t magnitude_end(bool f64) { return (f64 ? kInfinityBits<double> : kInfinityBits<float>)+2; }

}  // namespace fk
