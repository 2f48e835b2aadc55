// votes.hpp: how many more models vote + than vote -, element by element.
//
//   votes = sum of sign(w_k) sign(x_k)        zeros and NaN have no sign
//
// A model's weight is -1, 0 or +1: the sign of what its values are multiplied by. Counts are exact up to 2^24 models.
#pragma once
#include "core/method.hpp"

namespace fk {

struct Votes {
  static constexpr Info info{.name = "", .summary = "", .formula = ""};
  static constexpr int rounds = 1;
  template <class V>
  struct Model {
    V weight;
  };
  template <class T>
  struct Shared {};
  template <class V>
  struct State {
    V sum;
  };

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& x, const Model<V>& model, const Shared<Element<V>>&) {
    const V zero = splat<V>(0);
    const V vote = select(x > zero, model.weight, zero) - select(x < zero, model.weight, zero);
    state.sum = First ? vote : V(state.sum + vote);
  }
  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>&) {
    return state.sum;
  }
};

}  // namespace fk
