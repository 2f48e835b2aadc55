// consensus.hpp: how kept task vectors become one; the second half of a sparsified method.
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

//   merged = lambda * sum_k w_k kept_k         divided by sum_k w_k when normalize is on
struct LinearConsensus : WeightedSum {
  using WeightedSum::resolve;
  template <class T>
  static FK_FN void rescaled(const Model<double>& model, double factor, Model<T>& rescaled) {
    rescaled.weight = static_cast<T>(model.weight * factor);
  }
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.scale = static_cast<T>(values.shared("lambda") / divisor(values));
  }
};

//   elected = sign of sum_k w_k kept_k   (elect="unweighted": of sum_k kept_k)
//   merged  = lambda * sum of the w_k kept_k that agree with it / sum of their w_k
// Zeros agree with nobody. Where the elected sum is exactly 0, zero_sign="positive" elects +, "none" merges nothing.
// merge_func="max" takes the agreeing w_k kept_k of largest magnitude (the first of equals) and divides by nothing.
// Where nobody agrees, and where the sum is NaN, nothing is merged.
struct SignConsensus {
  template <class V>
  struct Model {
    V weight;
    V vote;  // the weight in the election: without the model's own when it is unweighted
    V mass;  // the weight in the divisor: 0 when nothing is divided
  };
  template <class T>
  struct Shared {
    T lambda;
    IntOf<T> hung;  // the magnitude up to which a sum elects nobody: 0, or -1 when zero elects +
    bool take_largest;
  };
  template <class V>
  struct State {
    V elected, total, mass;
  };

  static constexpr int rounds = 2;

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& kept, const Model<V>& model, const Shared<Element<V>>& shared) {
    const V vote = kept * model.vote;
    if constexpr (Round == 0)
      state.elected = First ? vote : V(state.elected + vote);
    else
      join<First>(state, vote, V(kept * model.weight), model, shared.take_largest);
  }

  // The usual case: votes are the weighted task vectors themselves, and all who agree are added.
  template <class T>
  static FK_FN bool is_usual(const Model<T>& model, const Shared<T>& shared) {
    return model.vote == model.weight && !shared.take_largest;
  }
  struct Usual {
    template <int Round, bool First, class V>
    static FK_FN void step(State<V>& state, const V& kept, const Model<V>& model, const Shared<Element<V>>&) {
      const V weighted = kept * model.weight;
      if constexpr (Round == 0)
        state.elected = First ? weighted : V(state.elected + weighted);
      else
        join<First>(state, weighted, weighted, model, false);
    }
  };

  template <bool First, class V>
  static FK_FN void join(State<V>& state, const V& vote, const V& weighted, const Model<V>& model, bool take_largest) {
    const V zero = splat<V>(0);
    // A negative election turns the votes round, so that one comparison tells who agrees; finish() sees to NaN and 0.
    const Mask<V> agrees = flipped_by_sign(state.elected, vote) > zero;
    const V agreeing = select(agrees, weighted, zero);
    if (First) {
      state.total = agreeing;
      state.mass = select(agrees, model.mass, zero);
    } else if (take_largest) {
      state.total = select(magnitude_bits(agreeing) > magnitude_bits(state.total), agreeing, state.total);
    } else {
      state.total = state.total + agreeing;
      state.mass = state.mass + select(agrees, model.mass, zero);
    }
  }

  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    const V zero = splat<V>(0);
    const V merged = state.total / select(state.mass == zero, splat<V>(1), state.mass);
    const Mask<V> elects =
        (magnitude_bits(state.elected) > splat_int<V>(shared.hung)) & (state.elected == state.elected);
    return select(elects, merged, zero) * shared.lambda;
  }

  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    model.weight = static_cast<T>(values.per_model("weight", k));
    model.vote = values.flag("elect") ? T(1) : model.weight;
    model.mass = values.flag("normalize") && !values.flag("merge_func") ? model.weight : T(0);
  }
  template <class T>
  static FK_FN void rescaled(const Model<double>& model, double factor, Model<T>& rescaled) {
    rescaled.weight = static_cast<T>(model.weight * factor);
    rescaled.vote = static_cast<T>(model.vote * factor);
    rescaled.mass = static_cast<T>(model.mass);
  }
  template <class T>
  static void resolve(const Values& values, Shared<T>& shared) {
    shared.lambda = static_cast<T>(values.shared("lambda"));
    shared.take_largest = values.flag("merge_func");
    shared.hung = values.flag("zero_sign") ? 0 : -1;
  }
};

}  // namespace fk
