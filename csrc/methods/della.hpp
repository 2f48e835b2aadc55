// della.hpp: DELLA (Deep et al. 2024): drop by rank and at random, rescale, elect a sign, average those that agree.
//
//   p      = density - epsilon + 2 epsilon r / (columns - 1), r the rank of |x_k - base| in its row, 0 the smallest
//   kept_k = x_k - base with probability p, else 0
//   out    = base + lambda * sum of the w_k f_k kept_k that agree with the elected sign / sum of their w_k
//
// A row is the tensor's first index; a vector is one row. Of equal magnitudes the first by index has the higher rank.
// Draws and f_k as in dare_linear.hpp, the election as in parts/consensus.hpp.
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct Della : SparseMerge<KeepByRank, SignConsensus> {
  static constexpr Info info{
      .name = "della",
      .summary =
          "Drop elements of each task vector at random, small ones more often; elect a sign, average who agrees.",
      .formula = "out = base + lambda * sum_{k agrees} w_k f_k kept_k / sum_{k agrees} w_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"DELLA-Merging: reducing interference in model merging through magnitude-based sampling", "Deep et al.",
                2024, "https://arxiv.org/abs/2406.11617"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,   density(),     kEpsilon, normalize_agreeing(true),
                                     rescale(true), rescale_by(1), lambda(), kElect,
                                     kMergeFunc,    kZeroSign};
};

}  // namespace fk

FK_METHOD(Della);
