// ties.hpp: TIES-Merging (Yadav et al. 2023): trim, elect a sign, merge the models that agree.
//
//   kept_k   = the top `density` share of |x_k - base|, the rest 0              trim
//   elected  = sign of sum_k w_k kept_k   (elect="unweighted": of sum_k kept_k) elect
//   out      = base + lambda * sum of the w_k kept_k that agree with it / sum of their w_k    disjoint merge
//
// Equals: of several elements of the last kept magnitude, the first by index are kept, k = max(1, floor(density n)).
// Zeros agree with nobody. Where the elected sum is exactly 0, zero_sign="positive" elects +, "none" merges nothing.
// merge_func="max" takes the agreeing w_k kept_k of largest magnitude (the first of equals) and divides by nothing.
// Where nobody agrees the base is returned. A NaN ranks above infinity and is kept; the sum it enters elects nobody.
#pragma once
#include "core/method.hpp"

namespace fk {

struct Ties {
  static constexpr Info info{
      .name = "ties",
      .summary = "Trim each task vector, elect a sign per element, average the models that agree with it.",
      .formula = "out = base + lambda * sum_{k agrees} w_k kept_k / sum_{k agrees} w_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"TIES-Merging: resolving interference when merging models", "Yadav et al.", 2023,
                "https://arxiv.org/abs/2306.01708"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {
      {.name = "weight", .doc = "share of each task vector", .per_model = true, .paper = 1, .fusionbench = 1},
      {.name = "density",
       .doc = "fraction of each task vector that is kept",
       .per_model = true,
       .fallback = 1,
       .paper = 0.2,
       .fusionbench = 0.2,
       .minimum = 0,
       .maximum = 1},
      {.name = "normalize",
       .doc = "divide by the weights of the models that agree (mean instead of sum)",
       .type = Type::boolean,
       .fallback = 1,
       .fusionbench = 0},
      {.name = "lambda", .doc = "scales the merged task vector", .fallback = 1, .fusionbench = 0.3},
      {.name = "scope",
       .doc = "trim each tensor, or the whole model, to the density",
       .type = Type::choice,
       .fallback = 0,
       .paper = 1,
       .fusionbench = 1,
       .choices = "tensor|model"},
      {.name = "elect",
       .doc = "elect the sign with the weights, or before they are applied",
       .type = Type::choice,
       .fallback = 0,
       .choices = "weighted|unweighted"},
      {.name = "merge_func",
       .doc = "sum the agreeing task vectors, or take the largest",
       .type = Type::choice,
       .fallback = 0,
       .choices = "sum|max"},
      {.name = "zero_sign",
       .doc = "the sign elected where the sum is exactly zero",
       .type = Type::choice,
       .fallback = 0,
       .choices = "positive|none"},
  };
  static constexpr const char* trims_by = "density";

  template <class V>
  struct Model {
    V weight;
    KeptAbove<V> above;
  };
  template <class T>
  struct Shared {
    T lambda;
    bool normalize, unweighted, take_largest, zero_elects_none;
  };
  template <class V>
  struct State {
    V elected, total, mass;
  };

  static constexpr int rounds = 2;

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& delta, const Model<V>& model, const Shared<Element<V>>& shared) {
    const V zero = splat<V>(0);
    const V kept = select(magnitude_bits(delta) > model.above, delta, zero);
    const V weighted = kept * model.weight;
    const V voter = shared.unweighted ? kept : weighted;
    if constexpr (Round == 0) {
      state.elected = First ? voter : V(state.elected + voter);
    } else {
      if constexpr (First) state.total = state.mass = zero;
      const Mask<V> positive = shared.zero_elects_none ? Mask<V>(state.elected > zero) : Mask<V>(state.elected >= zero);
      const Mask<V> agrees = (positive & (voter > zero)) | ((state.elected < zero) & (voter < zero));
      const V agreeing = select(agrees, weighted, zero);
      if (shared.take_largest) {
        state.total = select(magnitude_bits(agreeing) > magnitude_bits(state.total), agreeing, state.total);
      } else {
        state.total = state.total + agreeing;
        state.mass = state.mass + select(agrees, model.weight, zero);
      }
    }
  }

  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    V merged = state.total;
    if (shared.normalize) merged = merged / select(state.mass == splat<V>(0), splat<V>(1), state.mass);
    return merged * shared.lambda;
  }

  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    model.weight = static_cast<T>(values.per_model("weight", k));
    model.above = -1;
  }
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.lambda = static_cast<T>(values.shared("lambda"));
    shared.unweighted = values.flag("elect");
    shared.take_largest = values.flag("merge_func");
    shared.normalize = values.flag("normalize") && !shared.take_largest;
    shared.zero_elects_none = values.flag("zero_sign");
  }
};

}  // namespace fk

FK_METHOD(Ties);
