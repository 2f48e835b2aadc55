// sparse_merge.hpp: a method composed of a sparsifier, which thins task vectors, and a consensus, which unites them.
#pragma once
#include "methods/parts/consensus.hpp"
#include "methods/parts/sparsifiers.hpp"

namespace fk {

template <class S, class C>
struct SparseMerge {
  static constexpr Sparsifier sparsifier = S::sparsifier;
  static constexpr int rounds = C::rounds;
  template <class V>
  struct Model : C::template Model<V>, S::template Model<V> {};
  template <class T>
  using Shared = typename C::template Shared<T>;
  template <class V>
  using State = typename C::template State<V>;

  template <int Round, bool First, class V>
  static FK_FN void step(State<V>& state, const V& delta, const Model<V>& model, const Shared<Element<V>>& shared) {
    C::template step<Round, First, V>(state, S::template kept<V>(delta, model), model, shared);
  }
  template <class V>
  static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
    return C::finish(state, shared);
  }

  struct Usual {
    template <int Round, bool First, class V>
    static FK_FN void step(State<V>& state, const V& delta, const Model<V>& model, const Shared<Element<V>>& shared) {
      C::Usual::template step<Round, First, V>(state, S::template kept<V>(delta, model), model, shared);
    }
    template <class V>
    static FK_FN V finish(const State<V>& state, const Shared<Element<V>>& shared) {
      return C::finish(state, shared);
    }
  };
  template <class T>
  static FK_FN bool is_usual(const Model<T>* models, int count, const Shared<T>& shared)
    requires requires { C::is_usual(*models, shared); }
  {
    for (int k = 0; k < count; ++k)
      if (!C::is_usual(models[k], shared)) return false;
    return true;
  }

  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    C::resolve(values, k, model);
    S::open(model);
  }
  template <class T>
  static FK_FN void rescaled(const Model<double>& model, double factor, Model<T>& rescaled) {
    C::rescaled(model, factor, rescaled);
    S::open(rescaled);
  }
  template <class Shared>
  static void resolve(const Values& values, Shared& shared) {
    C::resolve(values, shared);
  }
  static std::string problem(const Values& values, int k)
    requires requires { S::problem(values, k); }
  {
    return S::problem(values, k);
  }
};

}  // namespace fk
