// dare_linear.hpp: DARE (Yu et al. 2024): drop most of each task vector at random, enlarge the rest, add them up.
//
//   kept_k = x_k - base with probability `density`, else 0
//   out    = base + lambda * sum_k w_k f_k kept_k        divided by sum_k w_k when normalize is on
//
// f_k makes up for what was dropped: rescale_by="l1" (mergekit) restores the tensor's L1 norm, "density" (the paper)
// divides by the density. Draws have 16 bits, so the density is a multiple of 1/65536; they hang on the seed, the
// tensor's name and the model's number alone.
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct DareLinear : SparseMerge<KeepAtRandom, LinearConsensus> {
  static constexpr Info info{
      .name = "dare_linear",
      .summary = "Drop elements of each task vector at random, rescale the rest, add them to the base.",
      .formula = "out = base + lambda * sum_k w_k f_k kept_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Language models are Super Mario: absorbing abilities from homologous models as a free lunch",
                "Yu et al.", 2024, "https://arxiv.org/abs/2311.03099"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,   density(kSame, 0.5), normalize(false),
                                     rescale(true), rescale_by(1, 1),    lambda(0.3)};
};

}  // namespace fk

FK_METHOD(DareLinear);
