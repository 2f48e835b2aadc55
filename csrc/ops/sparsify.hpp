// sparsify.hpp: one tensor with zeros where nothing is kept: by magnitude, or at random.
//
// Folds of one model on a base of zeros: what a merge would keep of it. A zero that is kept comes out as +0.
#pragma once
#include <span>
#include <string_view>

#include "ops/threshold.hpp"

namespace fk::ops {

// `out` has the tensor's dtype, and so many cuts as rows.
void keep_above(const Tensor& tensor, const Rows& rows, std::span<const Cut> cuts, void* out, const Execution& how);

struct Drawing {
  double density;
  uint64_t seed, model;
  std::string_view name;
  bool rescale;  // divide by the density
};
void keep_at_random(const Tensor& tensor, int64_t elements, const Drawing& drawing, void* out, const Execution& how);

}  // namespace fk::ops
