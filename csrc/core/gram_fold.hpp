// gram_fold.hpp: a gram method's second half: the weighted sum of the models, or of their deltas added to the base.
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

template <Space space>
struct GramFold : WeightedSum {
  static constexpr Info info{.name = "", .summary = "", .formula = "", .space = space};
  using WeightedSum::resolve;
  template <class T>
  static void resolve(const Values&, Shared<T>& shared) {
    shared.scale = 1;
  }
};
using GramSum = GramFold<Space::weight>;
using GramDeltaSum = GramFold<Space::delta>;

template <class M>
inline constexpr bool is_gram_method =
    requires(std::span<const double> g, const Values& v, std::span<double> o) { M::coefficients(g, v, o); };
template <class M>
using FoldOf = std::conditional_t<is_gram_method<M>, GramSum, M>;

}  // namespace fk
