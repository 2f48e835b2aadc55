// products.hpp: dot products and norms of tensors, or of their deltas where there is a base.
//
// Values (and deltas) are of the compute type, double if f64, else float; products and sums are double, in the one
// order of summation (see cpu/reduce.hpp), which starts anew with each row.
#pragma once
#include <span>

#include "ops/execution.hpp"

namespace fk::ops {

struct Group {
  std::span<const Tensor> models;
  Tensor base;  // no data: none
  bool f64;
};

// The K x K matrix of dot products.
void gram_matrix(const Group& group, int64_t elements, double* out, const Execution& how);

// <left, x_k> for each model.
void dot_products(const Tensor& left, const Group& group, int64_t elements, double* out, const Execution& how);

// p: 1 or 2. A norm for each model and row, model by model.
void norms(const Group& group, const Rows& rows, int p, double* out, const Execution& how);

}  // namespace fk::ops
