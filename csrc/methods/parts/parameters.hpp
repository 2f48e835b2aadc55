// parameters.hpp: the parameters that methods share, with mergekit's names, meaning and defaults.
#pragma once
#include "core/method.hpp"

namespace fk {

inline constexpr Param kTaskWeight{
    .name = "weight", .doc = "share of each task vector", .per_model = true, .paper = 1, .fusionbench = 1};

constexpr Param density(double paper = kSame, double fusionbench = kSame) {
  return {.name = "density",
          .doc = "fraction of each task vector that is kept",
          .per_model = true,
          .fallback = 1,
          .paper = paper,
          .fusionbench = fusionbench,
          .minimum = 0,
          .maximum = 1};
}

constexpr Param normalize(bool fallback, double fusionbench = kSame) {
  return {.name = "normalize",
          .doc = "divide by the sum of the weights",
          .type = Type::boolean,
          .fallback = fallback ? 1.0 : 0.0,
          .fusionbench = fusionbench};
}
constexpr Param normalize_agreeing(bool fallback, double fusionbench = kSame) {
  Param param = normalize(fallback, fusionbench);
  param.doc = "divide by the weights of the models that agree (mean instead of sum)";
  return param;
}

constexpr Param lambda(double fusionbench = kSame) {
  return {.name = "lambda", .doc = "scales the merged task vector", .fallback = 1, .fusionbench = fusionbench};
}

constexpr Param rescale(bool fallback) {
  return {.name = "rescale",
          .doc = "make up for the dropped elements by enlarging the kept ones",
          .type = Type::boolean,
          .fallback = fallback ? 1.0 : 0.0};
}
constexpr Param rescale_by(double paper = kSame, double fusionbench = kSame) {
  return {.name = "rescale_by",
          .doc = "restore each tensor's L1 norm, or divide by the density",
          .type = Type::choice,
          .fallback = 0,
          .paper = paper,
          .fusionbench = fusionbench,
          .choices = "l1|density"};
}

constexpr Param scope(double paper = kSame, double fusionbench = kSame) {
  return {.name = "scope",
          .doc = "trim each tensor, or the whole model, to the density",
          .type = Type::choice,
          .fallback = 0,
          .paper = paper,
          .fusionbench = fusionbench,
          .choices = "tensor|model"};
}

inline constexpr Param kGamma{.name = "gamma",
                              .doc = "fraction of each task vector, the largest elements, that is dropped",
                              .per_model = true,
                              .fallback = 0.01,
                              .minimum = 0,
                              .maximum = 1};

inline constexpr Param kEpsilon{
    .name = "epsilon",
    .doc = "how far the probability to be kept departs from the density, by rank in the row",
    .per_model = true,
    .fallback = 0.15,
    .minimum = 0,
    .maximum = 1};

inline constexpr Param kElect{.name = "elect",
                              .doc = "elect the sign with the weights, or before they are applied",
                              .type = Type::choice,
                              .fallback = 0,
                              .choices = "weighted|unweighted"};
inline constexpr Param kMergeFunc{.name = "merge_func",
                                  .doc = "sum the agreeing task vectors, or take the largest",
                                  .type = Type::choice,
                                  .fallback = 0,
                                  .choices = "sum|max"};
inline constexpr Param kZeroSign{.name = "zero_sign",
                                 .doc = "the sign elected where the sum is exactly zero",
                                 .type = Type::choice,
                                 .fallback = 0,
                                 .choices = "positive|none"};

}  // namespace fk
