// breadcrumbs.hpp: Model Breadcrumbs (Davari & Belilovsky 2023): drop the largest and the smallest of each task vector.
//
//   of n elements in order of |x_k - base|: the first min(gamma n, n - density n) are dropped, the next density n kept
//   out = base + lambda * sum_k w_k kept_k        divided by sum_k w_k when normalize is on
//
// Equals are ordered by index, NaN above infinity. density=1 keeps all, whatever gamma.
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct Breadcrumbs : SparseMerge<KeepBand, LinearConsensus> {
  static constexpr Info info{
      .name = "breadcrumbs",
      .summary = "Drop the largest and the smallest elements of each task vector, add the rest to the base.",
      .formula = "out = base + lambda * sum_k w_k kept_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Model Breadcrumbs: scaling multi-task model merging with sparse masks", "Davari & Belilovsky", 2023,
                "https://arxiv.org/abs/2312.06795"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,    density(),    kGamma,   normalize(false),
                                     rescale(false), rescale_by(), lambda(), scope()};
};

}  // namespace fk

FK_METHOD(Breadcrumbs);
