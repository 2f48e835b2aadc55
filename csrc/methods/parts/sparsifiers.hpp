// sparsifiers.hpp: which elements of a task vector are kept; the first half of a sparsified method.
//
// Each says what it asks of the engine (see core/method.hpp), what a kernel reads about a model, and which deltas it
// lets through. The masks of the random ones are applied by the engine.
#pragma once
#include "methods/parts/parameters.hpp"

namespace fk {

template <Sparsifier kind>
struct Untouched {
  static constexpr Sparsifier sparsifier = kind;
  template <class V>
  struct Model {};
  template <class V>
  static FK_FN V kept(const V& delta, const Model<V>&) {
    return delta;
  }
  template <class T>
  static FK_FN void open(Model<T>&) {}
};
using KeepAll = Untouched<Sparsifier::none>;
using KeepAtRandom = Untouched<Sparsifier::random>;  // DARE

// DELLA: the probability rises linearly with the rank in the row, from density - epsilon to density + epsilon.
struct KeepByRank : Untouched<Sparsifier::ranked> {
  static std::string problem(const Values& values, int k) {
    if (k < 0) return "";
    const double density = values.per_model("density", k), epsilon = values.per_model("epsilon", k);
    if (density <= 0 || density >= 1 || (density - epsilon > 0 && density + epsilon < 1)) return "";
    return "density - epsilon and density + epsilon must lie strictly between 0 and 1, got density=" + text(density) +
           " and epsilon=" + text(epsilon);
  }

 private:
  static std::string text(double value) {
    std::string digits = std::to_string(value);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits;
  }
};

struct KeepTop {
  static constexpr Sparsifier sparsifier = Sparsifier::top;
  template <class V>
  struct Model {
    KeptAbove<V> above;
  };
  template <class V>
  static FK_FN V kept(const V& delta, const Model<V>& model) {
    return select(magnitude_bits(delta) > model.above, delta, splat<V>(0));
  }
  template <class T>
  static FK_FN void open(Model<T>& model) {
    model.above = -1;
  }
};

struct KeepBand {
  static constexpr Sparsifier sparsifier = Sparsifier::band;
  template <class V>
  struct Model {
    KeptAbove<V> above, ceiling;
  };
  template <class V>
  static FK_FN V kept(const V& delta, const Model<V>& model) {
    const Int<V> magnitude = magnitude_bits(delta);
    const V below = select(magnitude > model.ceiling, splat<V>(0), delta);
    return select(magnitude > model.above, below, splat<V>(0));
  }
  template <class T>
  static FK_FN void open(Model<T>& model) {
    model.above = -1;
    model.ceiling = std::numeric_limits<IntOf<T>>::max();
  }
};

}  // namespace fk
