// nuslerp.hpp: spherical interpolation by weights: between two models or, with a base, between their task vectors.
//
//   t = w_1 / (w_0 + w_1)        1/2 where the sum is within 1e-6 of zero
//   out = sin((1-t) O)/sin(O) x_0 + sin(t O)/sin(O) x_1,  cos(O) = <x_0, x_1> / (|x_0| |x_1|)
//   with a base: x_k stand for the differences from it, and the base is added
//
// The vectors are whole tensors, or with nuslerp_flatten=false every row (first index), or with nuslerp_row_wise=true
// as well every column: those are mergekit's names, which see the matrix transposed. Along the chord where |cos|
// exceeds lerp_threshold, where a vector is zero, and where sin(O) is. Defined by mergekit.
#pragma once
#include "methods/parts/arc.hpp"

namespace fk {

struct Nuslerp {
  static constexpr Info info{
      .name = "nuslerp",
      .summary = "Spherical interpolation between two models, or their task vectors, by their weights.",
      .formula = "out = sin((1-t) O)/sin(O) x_0 + sin(t O)/sin(O) x_1,  t = w_1 / (w_0 + w_1)",
      .base = Base::optional,
      .min_models = 2,
      .max_models = 2,
      .paper = {"Animating rotation with quaternion curves", "Shoemake", 1985, "https://doi.org/10.1145/325165.325242"},
      .ignored_keys = "int8_mask|normalize",
  };
  static constexpr Param params[] = {
      {.name = "weight", .doc = "share of each model", .per_model = true},
      {.name = "nuslerp_flatten", .doc = "take each tensor as one vector", .type = Type::boolean, .fallback = 1},
      {.name = "nuslerp_row_wise",
       .doc = "without nuslerp_flatten: take columns as vectors instead of rows",
       .type = Type::boolean,
       .fallback = 0},
      lerp_threshold(1),
  };
  static Axis axis(const Values& values) {
    if (values.flag("nuslerp_flatten")) return Axis::tensor;
    return values.flag("nuslerp_row_wise") ? Axis::column : Axis::row;
  }
  static void coefficients(std::span<const double> gram, const Values& values, std::span<double> out) {
    const double total = values.sum("weight");
    const double t = std::fabs(total) < 1e-6 ? 0.5 : values.per_model("weight", 1) / total;
    interpolate_on_arc(gram, t, values.shared("lerp_threshold"), out);
  }
};

}  // namespace fk

FK_METHOD(Nuslerp);
