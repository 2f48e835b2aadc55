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
    V vote;  // the weight in the election: 1 when it is unweighted
    V mass;  // the weight in the divisor: 0 when nothing is divided
    KeptAbove<V> above;
  };
  template <class T>
  struct Shared {
    T lambda;
    bool take_largest, zero_elects_none;
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
    const V vote = kept * model.vote;
    if constexpr (Round == 0) {
      state.elected = First ? vote : V(state.elected + vote);
    } else {
      if constexpr (First) state.total = state.mass = zero;
      // A negative election turns the votes round, so that one comparison tells who agrees; finish() sees to NaN and 0.
      const V turned = negate_where(state.elected < zero, vote);
      const Mask<V> agrees = turned > zero;
      const V agreeing = select(agrees, V(kept * model.weight), zero);
      if (shared.take_largest) {
        state.total = select(magnitude_bits(agreeing) > magnitude_bits(state.total), agreeing, state.total);
      } else {
        state.total = state.total + agreeing;
        state.mass = state.mass + select(agrees, model.mass, zero);
      }
    }
  }

  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    const V zero = splat<V>(0);
    const V merged = state.total / select(state.mass == zero, splat<V>(1), state.mass);
    Mask<V> elects = state.elected == state.elected;
    if (shared.zero_elects_none) elects = elects & (state.elected != zero);
    return select(elects, merged, zero) * shared.lambda;
  }

  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    model.weight = static_cast<T>(values.per_model("weight", k));
    model.vote = values.flag("elect") ? T(1) : model.weight;
    model.mass = values.flag("normalize") && !values.flag("merge_func") ? model.weight : T(0);
    model.above = -1;
  }
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.lambda = static_cast<T>(values.shared("lambda"));
    shared.take_largest = values.flag("merge_func");
    shared.zero_elects_none = values.flag("zero_sign");
  }
};

}  // namespace fk

FK_METHOD(Ties);
