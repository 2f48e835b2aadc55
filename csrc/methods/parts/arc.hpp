// arc.hpp: the two coefficients of spherical interpolation.
#pragma once
#include <cmath>

#include "core/method.hpp"

namespace fk {

inline constexpr Param lerp_threshold(double fallback) {
  return {.name = "lerp_threshold",
          .doc = "interpolate linearly where |cos| exceeds this",
          .fallback = fallback,
          .minimum = 0,
          .maximum = 1};
}

// From the first vector (t = 0) to the second (t = 1) along the arc between their directions. Along the chord where
// |cos| exceeds the threshold or is 1, where a vector is zero, and where the dot products are NaN: no arc is defined.
inline void interpolate_on_arc(std::span<const double> gram, double t, double lerp_threshold, std::span<double> out) {
  const double norms = std::sqrt(gram[0]) * std::sqrt(gram[3]);
  const double cosine = gram[1] / norms;
  out[0] = 1.0 - t;
  out[1] = t;
  if (!(norms > 0) || !(std::fabs(cosine) <= lerp_threshold) || std::fabs(cosine) >= 1) return;
  const double angle = std::acos(cosine);
  const double sine = std::sin(angle);
  out[0] = std::sin((1.0 - t) * angle) / sine;
  out[1] = std::sin(t * angle) / sine;
}

}  // namespace fk
