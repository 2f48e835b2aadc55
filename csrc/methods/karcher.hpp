// karcher.hpp: the Karcher (Riemannian) mean of the models' directions, at their mean length.
//
//   m   = the unit vector with sum_k log_m(u_k) = 0,  u_k = x_k / |x_k|,  log_m(u) = O/sin(O) (u - cos(O) m)
//   out = m mean_k |x_k|
//
// Each tensor is taken as one vector. Found by at most max_iter steps along the mean tangent, until that is shorter
// than tol. A model of norm up to tol has no direction and only shortens the result; a single model is returned as it
// is; one opposite to m exerts no pull. A NaN or infinite dot product makes all weights NaN. The whole iteration
// happens on the K x K dot products: m lies in the span of the models.
#pragma once
#include "methods/parts/gram_space.hpp"

namespace fk {

struct Karcher {
  static constexpr Info info{
      .name = "karcher",
      .summary = "Riemannian mean of the models' directions, at their mean length.",
      .formula = "out = m mean_k |x_k|,  m the Karcher mean of x_k / |x_k| on the unit sphere",
      .paper = {"Riemannian center of mass and mollifier smoothing", "Karcher", 1977,
                "https://doi.org/10.1002/cpa.3160300502"},
      .ignored_keys = "int8_mask|normalize|weight",
  };
  static constexpr Param params[] = {
      {.name = "max_iter", .doc = "steps at most", .type = Type::integer, .fallback = 10, .minimum = 0},
      {.name = "tol", .doc = "length of a step that ends the iteration", .fallback = 1e-5, .minimum = 0},
  };

  static void coefficients(std::span<const double> gram, const Values& values, std::span<double> out) {
    const GramSpace space(gram);
    const int count = space.count();
    if (count == 1) {
      out[0] = 1;
      return;
    }
    if (!space.finite()) {
      std::fill(out.begin(), out.end(), std::numeric_limits<double>::quiet_NaN());
      return;
    }
    const double tol = values.shared("tol");
    std::vector<Combined> directions;
    double length = 0;
    for (int k = 0; k < count; ++k) {
      const double norm = space.norm_of_model(k);
      length += norm / count;
      if (norm > tol) directions.push_back(space.model(k, 1 / norm));
    }
    Combined mean = space.zero();
    if (directions.empty()) {
      std::fill(out.begin(), out.end(), 0.0);
      return;
    }
    const double share = 1.0 / static_cast<double>(directions.size());
    for (const Combined& direction : directions) add(mean, share, direction);
    if (const double norm = space.norm(mean); norm < tol || norm == 0)
      mean = directions[0];
    else
      scale(mean, 1 / norm);

    for (int step = 0; step < static_cast<int>(values.shared("max_iter")); ++step) {
      Combined tangent = space.zero();
      for (const Combined& direction : directions) {
        const double cosine = std::clamp(space.dot(mean, direction), -1.0, 1.0);
        const double angle = std::acos(cosine), sine = std::sin(angle);
        if (angle < tol || opposite(cosine)) continue;
        add(tangent, share * angle / sine, direction);
        add(tangent, -share * angle / sine * cosine, mean);
      }
      const double norm = space.norm(tangent);
      if (!(norm >= tol) || norm == 0) break;
      scale(mean, std::cos(norm));
      add(mean, std::sin(norm) / norm, tangent);
      if (const double unit = space.norm(mean); unit > tol) scale(mean, 1 / unit);
    }
    scale(mean, length);
    std::copy(mean.begin(), mean.end(), out.begin());
  }
  // The way to the opposite point of a sphere has no direction.
  static bool opposite(double cosine) { return cosine < 0 && 1 - cosine * cosine < 1e-12; }

  static std::string problem(const Values& values, int k) {
    if (k >= 0) return "";
    const double steps = values.shared("max_iter");
    return steps == std::floor(steps) && steps <= 1e6 ? "" : "max_iter must be a whole number, at most a million";
  }
};

}  // namespace fk

FK_METHOD(Karcher);
