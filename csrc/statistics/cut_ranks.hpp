// cut_ranks.hpp: where a sparsifier cuts: how many elements, in the order of select, come before each of its cuts.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/method.hpp"
#include "statistics/selector.hpp"

namespace fk {

// Of model k's n elements: those kept and above, and, for a band, those dropped at the top.
inline std::vector<int64_t> cut_ranks(Sparsifier sparsifier, const Values& values, int k, int64_t n) {
  const int64_t kept = Selector::keep_for(values.per_model("density", k), n);
  if (sparsifier == Sparsifier::top) return {kept};
  const auto outliers = static_cast<int64_t>(std::floor(values.per_model("gamma", k) * static_cast<double>(n)));
  const int64_t dropped = kept == 0 ? 0 : std::min(outliers, n - kept);
  return {kept + dropped, dropped};
}

}  // namespace fk
