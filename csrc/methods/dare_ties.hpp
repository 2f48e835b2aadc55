// dare_ties.hpp: DARE's random sparsification (Yu et al. 2024) before the election and disjoint merge of TIES.
//
//   kept_k = x_k - base with probability `density`, else 0
//   out    = base + lambda * sum of the w_k f_k kept_k that agree with the elected sign
//
// f_k as in dare_linear.hpp, the election as in parts/consensus.hpp.
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct DareTies : SparseMerge<KeepAtRandom, SignConsensus> {
  static constexpr Info info{
      .name = "dare_ties",
      .summary = "Drop elements of each task vector at random, rescale the rest, elect a sign, add those that agree.",
      .formula = "out = base + lambda * sum_{k agrees} w_k f_k kept_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Language models are Super Mario: absorbing abilities from homologous models as a free lunch",
                "Yu et al.", 2024, "https://arxiv.org/abs/2311.03099"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,   density(kSame, 0.5), normalize_agreeing(false),
                                     rescale(true), rescale_by(1, 1),    lambda(0.5),
                                     kElect,        kMergeFunc,          kZeroSign};
};

}  // namespace fk

FK_METHOD(DareTies);
