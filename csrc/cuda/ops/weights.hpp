// weights.hpp: one number for each model, where and as kernels read it, wherever it comes from.
#pragma once
#include "cuda/memory.hpp"
#include "cuda/ops/kernels.hpp"
#include "ops/device_ops.hpp"

namespace fk::cuda {

// Numbers of the compute type, each `copies` times: a Model<T> whose members all are the model's weight.
class WeightTable {
 public:
  WeightTable(const ops::Weights& weights, int count, int copies, bool f64, Memory& memory)
      : from_(weights.there), count_(count), copies_(copies), f64_(f64) {
    there_ = f64 ? place<double>(weights, memory) : place<float>(weights, memory);
  }
  const void* there() const { return there_; }
  // Before kernels read them.
  void complete(const Queue& queue) const {
    if (from_) narrow_weights(from_, count_, copies_, f64_, there_, queue);
  }

 private:
  template <class T>
  void* place(const ops::Weights& weights, Memory& memory) const {
    const int64_t numbers = int64_t{count_} * copies_;
    if (from_) return memory.scratch<T>(numbers);
    const auto table = memory.table<T>(numbers);
    for (int64_t i = 0; i < numbers; ++i)
      table.here[i] = static_cast<T>(weights.here[static_cast<size_t>(i / copies_)]);
    return table.there;
  }
  const double* from_;
  int count_, copies_;
  bool f64_;
  void* there_;
};

}  // namespace fk::cuda
