// threshold.hpp: the last magnitude that a share of each row keeps, by the engine's rule of the largest.
//
// Larger magnitude first, lower index first among equals, a NaN above infinity; k = max(1, floor(density n)), none for
// density 0. A row's cut at magnitude 0 keeps all that is not zero and names no index.
#pragma once
#include <vector>

#include "ops/execution.hpp"
#include "statistics/selector.hpp"

namespace fk::ops {

// Elements up to index `last` of their row are kept from `threshold` on, those after it only above it.
std::vector<Cut> find_cuts(const Tensor& tensor, const Rows& rows, double density, const Execution& how);

// A cut's threshold as a number of the compute type (float, or double for F64 tensors), and back. Keeping nothing, and
// a cut among NaNs, is a NaN.
double threshold_of(const Cut& cut, bool f64);
Cut cut_at(double threshold, int64_t last, bool f64);

}  // namespace fk::ops
