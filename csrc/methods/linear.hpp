// linear.hpp: weighted average of the models (model soups).
//
//   out = sum_k w_k x_k / sum_k w_k        without the division when normalize is off, or when |sum_k w_k| < 1e-8
//
// Zeros and infinities follow IEEE arithmetic; a NaN in any model is a NaN in the result.
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

struct Linear : WeightedSum {
  static constexpr Info info{
      .name = "linear",
      .summary = "Weighted average of the models.",
      .formula = "out = sum_k w_k x_k / sum_k w_k",
      .paper = {"Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing "
                "inference time",
                "Wortsman et al.", 2022, "https://arxiv.org/abs/2203.05482"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {
      {.name = "weight", .doc = "share of each model", .per_model = true, .paper = 1, .fusionbench = 1},
      {.name = "normalize", .doc = "divide by the sum of the weights", .type = Type::boolean, .fallback = 1},
  };
  template <class T>
  struct Shared {
    T mass;
  };
  using WeightedSum::resolve;
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.mass = static_cast<T>(divisor(values));
  }

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& x, const Model<V>& model, const Shared<Element<V>>&) {
    add<First>(state, x, model);
  }
  // Divided, not multiplied by 1 / mass: the mean of three bf16 numbers is often exactly between two of them, and the
  // reciprocal's rounding would push it off the tie, in 1.4 % of the elements of a merge.
  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    return state.sum / shared.mass;
  }
};

}  // namespace fk

FK_METHOD(Linear);
