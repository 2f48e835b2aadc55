// gram_fold.hpp: a gram method's second half: the weighted sum of the models with the coefficients it found.
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

template <class M>
struct GramFold : WeightedSum {
  static constexpr Info info = M::info;
  using WeightedSum::resolve;
  template <class T>
  static void resolve(const Values&, Shared<T>& shared) {
    shared.scale = 1;
  }
};

template <class M>
inline constexpr bool is_gram_method =
    requires(std::span<const double> g, const Values& v, std::span<double> o) { M::coefficients(g, v, o); };
template <class M>
using FoldOf = std::conditional_t<is_gram_method<M>, GramFold<M>, M>;

}  // namespace fk
