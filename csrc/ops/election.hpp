// election.hpp: which sign the models elect, element by element, and the average of those that agree with one.
#pragma once
#include <span>

#include "ops/execution.hpp"

namespace fk::ops {

// -1, 0 or +1: the sign of sum_k w_k x_k, computed in double if f64, else in float. 0 where the sum is 0 or NaN.
void elect_by_sum(std::span<const Tensor> models, std::span<const double> weights, int64_t elements, bool f64,
                  int8_t* signs, const Execution& how);

// The sign that more of the w_k x_k have than have the other; 0 where as many do. Zeros and NaN have none.
void elect_by_count(std::span<const Tensor> models, std::span<const double> weights, int64_t elements, bool f64,
                    int8_t* signs, const Execution& how);

// The average, weighted, of the models whose w_k x_k has the sign given; 0 where there is none, or the sign is 0.
void disjoint_mean(std::span<const Tensor> models, std::span<const double> weights, const int8_t* signs,
                   int64_t elements, void* out, DType out_dtype, const Execution& how);

}  // namespace fk::ops
