// task_arithmetic.hpp: add the weighted sum of the task vectors to the base.
//
//   out = base + lambda * sum_k w_k (x_k - base)        divided by sum_k w_k when normalize is on
//
// The task vectors are added, not averaged, unless normalize says so (|sum_k w_k| < 1e-8 counts as 1).
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

struct TaskArithmetic : WeightedSum {
  static constexpr Info info{
      .name = "task_arithmetic",
      .summary = "Base plus the weighted sum of the task vectors.",
      .formula = "out = base + lambda * sum_k w_k (x_k - base)",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Editing models with task arithmetic", "Ilharco et al.", 2023, "https://arxiv.org/abs/2212.04089"},
      .ignored_keys = "int8_mask|density|rescale",
  };
  static constexpr Param params[] = {
      {.name = "weight", .doc = "share of each task vector", .per_model = true, .paper = 1, .fusionbench = 1},
      {.name = "normalize", .doc = "divide by the sum of the weights", .type = Type::boolean, .fallback = 0},
      {.name = "lambda", .doc = "scales the merged task vector", .fallback = 1, .fusionbench = 0.3},
  };
  using WeightedSum::resolve;
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.scale = static_cast<T>(values.shared("lambda") / divisor(values));
  }
};

}  // namespace fk

FK_METHOD(TaskArithmetic);
