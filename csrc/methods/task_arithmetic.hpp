// task_arithmetic.hpp: add the weighted sum of the task vectors to the base.
//
//   out = base + lambda * sum_k w_k (x_k - base)        divided by sum_k w_k when normalize is on
//
// The task vectors are added, not averaged, unless normalize says so (|sum_k w_k| < 1e-8 counts as 1).
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct TaskArithmetic : SparseMerge<KeepAll, LinearConsensus> {
  static constexpr Info info{
      .name = "task_arithmetic",
      .summary = "Base plus the weighted sum of the task vectors.",
      .formula = "out = base + lambda * sum_k w_k (x_k - base)",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Editing models with task arithmetic", "Ilharco et al.", 2023, "https://arxiv.org/abs/2212.04089"},
      .ignored_keys = "int8_mask|density|rescale",
  };
  static constexpr Param params[] = {kTaskWeight, normalize(false), lambda(0.3)};
};

}  // namespace fk

FK_METHOD(TaskArithmetic);
