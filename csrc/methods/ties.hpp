// ties.hpp: TIES-Merging (Yadav et al. 2023): trim, elect a sign, merge the models that agree.
//
//   kept_k   = the top `density` share of |x_k - base|, the rest 0              trim
//   elected  = sign of sum_k w_k kept_k   (elect="unweighted": of sum_k kept_k) elect
//   out      = base + lambda * sum of the w_k kept_k that agree with it / sum of their w_k    disjoint merge
//
// Equals: of several elements of the last kept magnitude, the first by index are kept, k = max(1, floor(density n)).
// Zeros agree with nobody; where nobody agrees the base is returned (see parts/consensus.hpp). A NaN ranks above
// infinity and is kept; the sum it enters elects nobody.
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct Ties : SparseMerge<KeepTop, SignConsensus> {
  static constexpr Info info{
      .name = "ties",
      .summary = "Trim each task vector, elect a sign per element, average the models that agree with it.",
      .formula = "out = base + lambda * sum_{k agrees} w_k kept_k / sum_{k agrees} w_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"TIES-Merging: resolving interference when merging models", "Yadav et al.", 2023,
                "https://arxiv.org/abs/2306.01708"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,
                                     density(0.2, 0.2),
                                     normalize_agreeing(true, 0),
                                     rescale(false),
                                     rescale_by(),
                                     lambda(0.3),
                                     scope(1, 1),
                                     kElect,
                                     kMergeFunc,
                                     kZeroSign};
};

}  // namespace fk

FK_METHOD(Ties);
