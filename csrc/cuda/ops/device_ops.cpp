// device_ops.cpp: the GPU's operations as the rest of the engine finds them.
#include "cuda/ops/operations.hpp"

namespace fk::ops {

const DeviceOps* device_ops() {
  static constexpr DeviceOps operations{
      .find_cuts = cuda::find_cuts,
      .keep_above = cuda::keep_above,
      .keep_at_random = cuda::keep_at_random,
      .elect_by_sum = cuda::elect_by_sum,
      .elect_by_count = cuda::elect_by_count,
      .disjoint_mean = cuda::disjoint_mean,
      .linear_combination = cuda::linear_combination,
      .gram_matrix = cuda::gram_matrix,
      .dot_products = cuda::dot_products,
      .norms = cuda::norms,
  };
  return &operations;
}

}  // namespace fk::ops
