// della_linear.hpp: the sparsification of DELLA, and a weighted sum.
//
//   kept_k and f_k as in della.hpp
//   out = base + lambda * sum_k w_k f_k kept_k        divided by sum_k w_k when normalize is on
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct DellaLinear : SparseMerge<KeepByRank, LinearConsensus> {
  static constexpr Info info{
      .name = "della_linear",
      .summary = "Drop elements of each task vector at random, small ones more often; add the rest to the base.",
      .formula = "out = base + lambda * sum_k w_k f_k kept_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"DELLA-Merging: reducing interference in model merging through magnitude-based sampling", "Deep et al.",
                2024, "https://arxiv.org/abs/2406.11617"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,   density(),     kEpsilon, normalize(false),
                                     rescale(true), rescale_by(1), lambda()};
};

}  // namespace fk

FK_METHOD(DellaLinear);
