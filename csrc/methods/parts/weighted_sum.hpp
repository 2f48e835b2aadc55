// weighted_sum.hpp: the sum of the models, each times its weight, times one scale.
#pragma once
#include <cmath>

#include "core/method.hpp"

namespace fk {

struct WeightedSum {
  static constexpr int rounds = 1;
  template <class V>
  struct Model {
    V weight;
  };
  template <class T>
  struct Shared {
    T scale;
  };
  template <class V>
  struct State {
    V sum;
  };

  template <bool First, class V>
  static FK_FN void add(State<V>& state, const V& x, const Model<V>& model) {
    const V weighted = x * model.weight;
    state.sum = First ? weighted : V(state.sum + weighted);
  }
  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& x, const Model<V>& model, const Shared<Element<V>>&) {
    add<First>(state, x, model);
  }
  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    return state.sum * shared.scale;
  }

  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    model.weight = static_cast<T>(values.per_model("weight", k));
  }
  // What a sum of deltas or models is divided by: the sum of the weights, or 1 where that sum is next to nothing.
  static double divisor(const Values& values) {
    const double mass = values.flag("normalize") ? values.sum("weight") : 1.0;
    return std::fabs(mass) < 1e-8 ? 1.0 : mass;
  }
};

}  // namespace fk
