// median.hpp: the middle value of the models, element by element.
//
//   out = the middle one of the K values of an element, or the mean of the two middle ones
//
// Order and NaN: see parts/rank_average.hpp.
#pragma once
#include "methods/parts/rank_average.hpp"

namespace fk {

struct Median : RankAverage {
  static constexpr Info info{
      .name = "median",
      .summary = "Middle value of the models, element by element.",
      .formula = "out = median_k x_k",
      .paper = {"Byzantine-robust distributed learning: towards optimal statistical rates", "Yin et al.", 2018,
                "https://arxiv.org/abs/1803.01498"},
  };
  static constexpr std::span<const Param> params{};
  template <class T>
  static void resolve(const Values&, int count, Shared<T>& shared) {
    drop((count - 1) / 2, count, shared);
  }
};

}  // namespace fk

FK_METHOD(Median);
