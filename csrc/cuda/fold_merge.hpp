// fold_merge.hpp: the passes of a fold method over tensors in a GPU's memory, none of which the host waits for.
#pragma once
#include "cuda/groups.hpp"
#include "cuda/peaks.hpp"

namespace fk::cuda {

class FoldMerge {
 public:
  FoldMerge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, const Peaks& peaks, Memory& memory);
  void run(const Queue& queue);
  // Of a part of one tensor: its models' L1 norms alone.
  void sum_masses(const Queue& queue);
  const double* masses() const { return passes_[0].mass_list[0].totals; }

 private:
  struct Passes {  // of the tensors that one launch merges
    Group* group;
    int most_models = 0;
    std::vector<CutSearch> searches;
    std::vector<MaskTensor> draw_list, rank_list, short_list;
    std::vector<SumTensor> mass_list;
    Memory::Table<CutSearch> search_table;
    MaskBatch draws{}, ranks{}, short_ranks{};
    SumBatch masses{};
  };
  struct Limits {
    const Limit *above = nullptr, *ceiling = nullptr;
  };

  void make_masks(const Passes& passes, const Queue& queue);
  void describe(Passes& passes, size_t i);
  void describe_masks(Passes& passes, size_t i);
  void describe_cuts(Passes& passes, size_t i);
  void describe_factors(Passes& passes, size_t i);
  const Limit* known(const std::vector<Limit>& limits);
  void describe_model_cuts(const std::vector<ResidentTensor>& tensors);
  Limits limits(const CutSearch& search, const Values& values, int models, bool f64, std::vector<CutSearch>& searches);
  void limit(const CutSearch& search, int64_t rank, bool f64, Limit* here, Limit* there,
             std::vector<CutSearch>& searches);
  static void add(MaskBatch& batch, std::vector<MaskTensor>& list, MaskTensor mask, int64_t chunks);

  const MergeCall& call_;
  const Method& method_;
  Memory& memory_;
  std::map<FoldKind, Group> groups_;
  std::vector<Passes> passes_;
  Group ordered_;  // scope model: all tensors, by name
  std::vector<CutSearch> model_searches_;
  Memory::Table<CutSearch> model_search_table_;
  Limits model_limits_;
  bool model_f64_ = false;
};

}  // namespace fk::cuda
