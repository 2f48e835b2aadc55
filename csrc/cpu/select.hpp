// select.hpp: one tile's share of finding the k-th magnitude (see statistics/selector.hpp).
#pragma once
#include "cpu/isa.hpp"
#include "cpu/scan.hpp"
#include "statistics/selector.hpp"

namespace fk {

// `tile` is its number in the tensor, `first_index` its first element's index. f64: magnitudes of double deltas.
void scan_tile(Selector& selector, const DeltaSpan& span, int64_t first_index, int64_t tile, bool f64, Isa isa);

void magnitudes(const DeltaSpan& span, bool f64, int64_t* out);

constexpr int64_t magnitude_end(bool f64) { return (f64 ? kNaNMagnitude<double> : kNaNMagnitude<float>)+1; }

// What the magnitude of the element at `index`, and of those after it up to the cut's last, must exceed to be kept (see
// KeptAbove). Kernels compare magnitudes as they are, where a NaN may exceed the one the order knows: nothing exceeds
// the largest integer.
constexpr int64_t kept_above(const Cut& cut, int64_t index, bool f64) {
  const int64_t above = index <= cut.last ? cut.threshold - 1 : cut.threshold;
  return above < magnitude_end(f64) - 1 ? above : f64 ? INT64_MAX : INT32_MAX;
}

}  // namespace fk
