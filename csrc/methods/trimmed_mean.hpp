// trimmed_mean.hpp: the average of the models, element by element, without the smallest and the largest values.
//
//   of the K values of an element, g = min(floor(trim K), (K - 1) / 2) are dropped at either end
//   out = mean of the K - 2g others          order and NaN: see parts/rank_average.hpp
#pragma once
#include <algorithm>

#include "methods/parts/rank_average.hpp"

namespace fk {

struct TrimmedMean : RankAverage {
  static constexpr Info info{
      .name = "trimmed_mean",
      .summary = "Average of the models without the smallest and the largest value of each element.",
      .formula = "out = mean of the K - 2 floor(trim K) middle values",
      .paper = {"Byzantine-robust distributed learning: towards optimal statistical rates", "Yin et al.", 2018,
                "https://arxiv.org/abs/1803.01498"},
  };
  static constexpr Param params[] = {
      {.name = "trim", .doc = "share of the values dropped at either end, in [0, 0.5]", .minimum = 0, .maximum = 0.5}};
  template <class T>
  static void resolve(const Values& values, int count, Shared<T>& shared) {
    drop(std::min(static_cast<int>(values.shared("trim") * count), (count - 1) / 2), count, shared);
  }
};

}  // namespace fk

FK_METHOD(TrimmedMean);
