// slerp.hpp: spherical linear interpolation from the base (t = 0) to the other model (t = 1).
//
//   cos = <a, b> / (|a| |b|),  O = acos(cos)
//   out = sin((1-t) O)/sin(O) a + sin(t O)/sin(O) b
//
// Each tensor is taken as one vector; the coefficients apply to the tensors as they are, not to unit vectors. Where
// |cos| > lerp_threshold, or a tensor is all zeros, the tensors are nearly (anti)parallel, sin(O) loses its digits, and
// out = (1-t) a + t b. Two fine-tunes of one model are almost always that close.
#pragma once
#include "methods/parts/arc.hpp"

namespace fk {

struct Slerp {
  static constexpr Info info{
      .name = "slerp",
      .summary = "Spherical interpolation between two models.",
      .formula = "out = sin((1-t) O)/sin(O) a + sin(t O)/sin(O) b,  cos(O) = <a, b> / (|a| |b|)",
      .base = Base::member,
      .min_models = 2,
      .max_models = 2,
      .paper = {"Animating rotation with quaternion curves", "Shoemake", 1985, "https://doi.org/10.1145/325165.325242"},
      .ignored_keys = "int8_mask|normalize",
  };
  static constexpr Param params[] = {
      {.name = "t", .doc = "how far to go from the base (0) to the other model (1)"},
      lerp_threshold(0.9995),
  };
  static void coefficients(std::span<const double> gram, const Values& values, std::span<double> out) {
    interpolate_on_arc(gram, values.shared("t"), values.shared("lerp_threshold"), out);
  }
};

}  // namespace fk

FK_METHOD(Slerp);
