// model_stock.hpp: Model Stock (Jang et al. 2024): between the base and the models' average, by the angle between them.
//
//   c   = mean over pairs of cos(d_j, d_k),  d_k = x_k - base
//   t   = K c / (1 + (K - 1) c)
//   out = base + t mean_k d_k
//
// average="angle" takes the cosine of the mean angle instead (FusionBench). filter_wise computes c for every row (first
// index) on its own, else each tensor is one vector. The product of two norms counts as at least 1e-6; where the
// denominator is within 1e-6 of zero there is no estimate, and the base is returned.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/method.hpp"

namespace fk {

struct ModelStock {
  static constexpr Info info{
      .name = "model_stock",
      .summary = "From the base towards the average of the models, as far as the angles between them say.",
      .formula = "out = base + t mean_k (x_k - base),  t = K c / (1 + (K - 1) c),  c = mean cosine",
      .space = Space::delta,
      .base = Base::required,
      .min_models = 2,
      .paper = {"Model Stock: all we need is just a few fine-tuned models", "Jang et al.", 2024,
                "https://arxiv.org/abs/2403.19522"},
      .ignored_keys = "int8_mask|normalize|weight",
  };
  static constexpr Param params[] = {
      {.name = "filter_wise", .doc = "an angle for every row", .type = Type::boolean, .fallback = 0},
      {.name = "average",
       .doc = "average the cosines, or the angles, of the pairs",
       .type = Type::choice,
       .fallback = 0,
       .fusionbench = 1,
       .choices = "cosine|angle"},
  };
  static Axis axis(const Values& values) { return values.flag("filter_wise") ? Axis::row : Axis::tensor; }

  static void coefficients(std::span<const double> gram, const Values& values, std::span<double> out) {
    const size_t count = out.size();
    const auto models = static_cast<double>(count);
    const bool angles = values.flag("average");
    double sum = 0;
    for (size_t j = 0; j < count; ++j) {
      for (size_t k = j + 1; k < count; ++k) {
        const double norms = std::sqrt(gram[j * count + j]) * std::sqrt(gram[k * count + k]);
        const double cosine = std::clamp(gram[j * count + k] / std::max(norms, 1e-6), -1.0, 1.0);
        sum += angles ? std::acos(cosine) : cosine;
      }
    }
    const double mean = sum / (models * (models - 1) / 2);
    const double cosine = angles ? std::cos(mean) : mean;
    const double denominator = 1 + (models - 1) * cosine;
    const double t = std::fabs(denominator) < 1e-6 ? 0.0 : models * cosine / denominator;
    std::fill(out.begin(), out.end(), t / models);
  }
};

}  // namespace fk

FK_METHOD(ModelStock);
