// breadcrumbs_ties.hpp: the sparsification of Model Breadcrumbs before the election and disjoint merge of TIES.
//
//   kept_k as in breadcrumbs.hpp, the election as in parts/consensus.hpp
//   out = base + lambda * sum of the w_k kept_k that agree with the elected sign
#pragma once
#include "methods/parts/sparse_merge.hpp"

namespace fk {

struct BreadcrumbsTies : SparseMerge<KeepBand, SignConsensus> {
  static constexpr Info info{
      .name = "breadcrumbs_ties",
      .summary = "Drop the largest and the smallest elements of each task vector, elect a sign, add those that agree.",
      .formula = "out = base + lambda * sum_{k agrees} w_k kept_k",
      .space = Space::delta,
      .base = Base::required,
      .paper = {"Model Breadcrumbs: scaling multi-task model merging with sparse masks", "Davari & Belilovsky", 2023,
                "https://arxiv.org/abs/2312.06795"},
      .ignored_keys = "int8_mask",
  };
  static constexpr Param params[] = {kTaskWeight,    density(),    kGamma,   normalize_agreeing(false),
                                     rescale(false), rescale_by(), lambda(), scope(),
                                     kElect,         kMergeFunc,   kZeroSign};
};

}  // namespace fk

FK_METHOD(BreadcrumbsTies);
