// passthrough.hpp: one model, unchanged or scaled.
//
//   out = scale * x        scale 1 and an unchanged dtype copy bytes, NaN patterns included
#pragma once
#include "methods/parts/weighted_sum.hpp"

namespace fk {

struct Passthrough : WeightedSum {
  static constexpr Info info{
      .name = "passthrough",
      .summary = "One model, unchanged or scaled.",
      .formula = "out = scale * x",
      .max_models = 1,
  };
  static constexpr Param params[] = {
      {.name = "scale", .doc = "factor on every weight of the model", .per_model = true, .fallback = 1},
  };
  template <class T>
  static void resolve(const Values& values, int k, Model<T>& model) {
    model.weight = static_cast<T>(values.per_model("scale", k));
  }
  template <class T>
  static void resolve(const Values&, Shared<T>& shared) {
    shared.scale = 1;
  }
};

}  // namespace fk

FK_METHOD(Passthrough);
