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

}  // namespace fk
