// device_ops.hpp: single operations on a GPU, in the words of those on the processor (election, products, sparsify,
// threshold). The rest of the engine is compiled without them and asks at run time.
//
// All pointers are addresses in the device's memory. Everything is enqueued, and no operation waits for the device.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "ops/products.hpp"
#include "ops/sparsify.hpp"

namespace fk::ops {

struct DeviceExecution {
  int device;
  uintptr_t stream;  // 0: the default one
  // Gives the operation, once, device memory to work in, which stays untouched until the stream has done all.
  std::function<char*(int64_t bytes)> allocate;
};

// One number for each model: known here, or to be read where an earlier kernel writes it.
struct Weights {
  std::vector<double> here;
  const double* there = nullptr;  // in the device's memory; null: those here
};

struct DeviceOps {
  // Thresholds are of the compute type. `last`: see Cut.
  void (*find_cuts)(const Tensor&, const Rows&, double density, void* thresholds, int64_t* last,
                    const DeviceExecution&);
  void (*keep_above)(const Tensor&, const Rows&, const void* thresholds, const int64_t* last, void* out,
                     const DeviceExecution&);
  void (*keep_at_random)(const Tensor&, int64_t elements, const Drawing&, void* out, const DeviceExecution&);
  void (*elect_by_sum)(std::span<const Tensor> models, const Weights&, int64_t elements, bool f64, int8_t* signs,
                       const DeviceExecution&);
  void (*elect_by_count)(std::span<const Tensor> models, const Weights& signs_of_weights, int64_t elements, bool f64,
                         int8_t* signs, const DeviceExecution&);
  void (*disjoint_mean)(std::span<const Tensor> models, const Weights&, const int8_t* signs, int64_t elements,
                        void* out, DType out_dtype, const DeviceExecution&);
  // sum_k w_k x_k or, with a base, base + sum_k w_k (x_k - base)
  void (*linear_combination)(std::span<const Tensor> models, const Tensor& base, const Weights&, int64_t elements,
                             void* out, DType out_dtype, const DeviceExecution&);
  void (*gram_matrix)(const Group&, int64_t elements, double* out, const DeviceExecution&);
  void (*dot_products)(const Tensor& left, const Group&, int64_t elements, double* out, const DeviceExecution&);
  void (*norms)(const Group&, const Rows&, int p, double* out, const DeviceExecution&);
};

const DeviceOps* device_ops();  // null: this build has none

}  // namespace fk::ops
