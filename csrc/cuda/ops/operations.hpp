// operations.hpp: single operations on a GPU; what each does is said in csrc/ops, under the same name.
#pragma once
#include "ops/device_ops.hpp"

namespace fk::cuda {

using ops::DeviceExecution;
using ops::Group;
using ops::Rows;
using ops::Tensor;
using ops::Weights;

// threshold.cpp
void find_cuts(const Tensor&, const Rows&, double density, void* thresholds, int64_t* last, const DeviceExecution&);

// sparsify.cpp
void keep_above(const Tensor&, const Rows&, const void* thresholds, const int64_t* last, void* out,
                const DeviceExecution&);
void keep_at_random(const Tensor&, int64_t elements, const ops::Drawing&, void* out, const DeviceExecution&);

// election.cpp
void elect_by_sum(std::span<const Tensor> models, const Weights&, int64_t elements, bool f64, int8_t* signs,
                  const DeviceExecution&);
void elect_by_count(std::span<const Tensor> models, const Weights&, int64_t elements, bool f64, int8_t* signs,
                    const DeviceExecution&);
void disjoint_mean(std::span<const Tensor> models, const Weights&, const int8_t* signs, int64_t elements, void* out,
                   DType out_dtype, const DeviceExecution&);

// combination.cpp
void linear_combination(std::span<const Tensor> models, const Tensor& base, const Weights&, int64_t elements, void* out,
                        DType out_dtype, const DeviceExecution&);

// products.cpp
void gram_matrix(const Group&, int64_t elements, double* out, const DeviceExecution&);
void dot_products(const Tensor& left, const Group&, int64_t elements, double* out, const DeviceExecution&);
void norms(const Group&, const Rows&, int p, double* out, const DeviceExecution&);

}  // namespace fk::cuda
