// slerp.hpp: spherical linear interpolation from the base (t = 0) to the other model (t = 1).
//
//   cos = <a, b> / (|a| |b|),  O = acos(cos)
//   out = sin((1-t) O)/sin(O) a + sin(t O)/sin(O) b
//
// Each tensor is taken as one vector; the coefficients apply to the tensors as they are, not to unit vectors. Where
// |cos| > lerp_threshold, or a tensor is all zeros, the tensors are nearly (anti)parallel, sin(O) loses its digits, and
// out = (1-t) a + t b. Two fine-tunes of one model are almost always that close.
#pragma once
#include <cmath>

#include "core/method.hpp"

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
      {.name = "lerp_threshold",
       .doc = "interpolate linearly where |cos| exceeds this",
       .fallback = 0.9995,
       .minimum = 0,
       .maximum = 1},
  };

  static void coefficients(std::span<const double> gram, const Values& values, std::span<double> out) {
    const double t = values.shared("t");
    const double norms = std::sqrt(gram[0]) * std::sqrt(gram[3]);
    const double cosine = norms > 0 ? gram[1] / norms : 1.0;
    out[0] = 1.0 - t;
    out[1] = t;
    if (!(std::fabs(cosine) <= values.shared("lerp_threshold"))) return;  // also where the dot products are NaN
    const double angle = std::acos(std::fmin(1.0, std::fmax(-1.0, cosine)));
    const double sine = std::sin(angle);
    if (sine == 0) return;
    out[0] = std::sin((1.0 - t) * angle) / sine;
    out[1] = std::sin(t * angle) / sine;
  }
};

}  // namespace fk

FK_METHOD(Slerp);
