// multislerp.hpp: barycentric interpolation of any number of models on the hypersphere.
//
//   u_k = x_k / (|x_k| + eps),  m = sum_k w_k u_k / |sum_k w_k u_k|        weighted mean direction
//   out = cos(eps) m sum_k w_k |x_k|                                       at the mean length
//   with a base: x_k stand for the differences from it, and the base is added
//
// mergekit, which defines it, goes on to average the u_k in the tangent space at m; the weights being the same, that
// average is zero, and what is left of its step is cos(eps). normalize_weights divides the w_k by their sum. A single
// model is returned as it is. Where the u_k cancel (|sum| < eps), two models are interpolated linearly, more are an
// error unless all are zero: opposite directions have no mean. A NaN or infinite dot product makes all weights NaN.
#pragma once
#include "core/error.hpp"
#include "methods/parts/gram_space.hpp"

namespace fk {

struct Multislerp {
  static constexpr Info info{
      .name = "multislerp",
      .summary = "Spherical interpolation between any number of models, or their task vectors.",
      .formula = "out = m sum_k w_k |x_k|,  m the direction of sum_k w_k x_k / |x_k|",
      .base = Base::optional,
      .paper = {"Multi-SLERP", "Goddard", 2024, "https://goddard.blog/posts/multislerp-wow-what-a-cool-idea"},
      .ignored_keys = "int8_mask|normalize",
  };
  static constexpr Param params[] = {
      {.name = "weight", .doc = "share of each model", .per_model = true},
      {.name = "normalize_weights", .doc = "divide the weights by their sum", .type = Type::boolean, .fallback = 1},
      {.name = "eps", .doc = "length below which a direction is not one", .fallback = 1e-8, .minimum = 0},
  };

  static std::string problem(const Values& values, int k) {
    if (k >= 0 || !values.flag("normalize_weights") || std::fabs(values.sum("weight")) >= 1e-8) return "";
    return "the weights add up to zero, so they cannot be normalized; pass normalize_weights=False or other weights";
  }

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
    const double eps = values.shared("eps");
    const double total = values.flag("normalize_weights") ? values.sum("weight") : 1.0;
    std::vector<double> weights;
    double length = 0, norms = 0;
    Combined mean = space.zero();
    for (int k = 0; k < count; ++k) {
      const double norm = space.norm_of_model(k);
      weights.push_back(values.per_model("weight", k) / total);
      norms += norm;
      length += weights.back() * norm;
      if (norm + eps > 0) add(mean, weights.back(), space.model(k, 1 / (norm + eps)));
    }
    const double mean_norm = space.norm(mean);
    if (mean_norm < eps || mean_norm == 0) {
      if (count == 2) {
        std::copy(weights.begin(), weights.end(), out.begin());
      } else if (norms == 0) {
        std::fill(out.begin(), out.end(), 0.0);
      } else {
        throw InvalidArgument(
            "the weighted sum of the models' directions is zero: they are opposite and their weights cancel; use other "
            "weights");
      }
      return;
    }
    scale(mean, 1 / mean_norm);
    scale(mean, std::cos(eps));
    scale(mean, length);
    std::copy(mean.begin(), mean.end(), out.begin());
  }
};

}  // namespace fk

FK_METHOD(Multislerp);
