// agreement.hpp: the average of the models that agree with a sign that is given: the second round of a sign consensus.
//
//   out = sum of the w_k x_k that have the sign / sum of their w_k     0 where nobody has, and where the sign is 0
//
// The first "model" is the sign, -1, 0 or +1, whatever its weight. Arithmetic, zeros and NaN: parts/consensus.hpp.
#pragma once
#include "methods/parts/consensus.hpp"

namespace fk {

struct Agreement {
  static constexpr Info info{.name = "", .summary = "", .formula = ""};
  static constexpr int rounds = 1;
  template <class V>
  using Model = SignConsensus::Model<V>;
  template <class T>
  using Shared = SignConsensus::Shared<T>;
  template <class V>
  using State = SignConsensus::State<V>;

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& x, const Model<V>& model, const Shared<Element<V>>& shared) {
    if constexpr (First)
      state = {x, splat<V>(0), splat<V>(0)};
    else
      SignConsensus::step<1, false, V>(state, x, model, shared);
  }
  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    return SignConsensus::finish(state, shared);
  }
};

// Its parameters: the weight of a model that follows the sign, and what all share.
inline Values agreement_values(std::span<const double> weights) {
  return {{{"weight", {weights.begin(), weights.end()}},
           {"elect", {0}},
           {"normalize", {1}},
           {"merge_func", {0}},
           {"lambda", {1}},
           {"zero_sign", {1}}}};
}
template <class T>
Agreement::Shared<T> agreement_of() {
  Agreement::Shared<T> shared;
  SignConsensus::resolve(agreement_values({}), shared);
  return shared;
}

}  // namespace fk
