// groups.hpp: tensors in a GPU's memory, described to its kernels and sorted by the kernel that merges them.
#pragma once
#include <map>

#include "cuda/peaks.hpp"

namespace fk::cuda {

// Tensors that one launch merges.
struct Group {
  FoldKind kind{};
  std::vector<const ResidentTensor*> members;
  Memory::Table<FoldTensor> tensors;             // of each member
  std::vector<Memory::Table<FoldModel>> models;  // of each member's
  int64_t chunks = 0;

  FoldBatch batch() const { return {tensors.there, static_cast<int>(members.size()), chunks}; }
};

// Every tensor with elements, its table filled in but for what its method adds. Throws Unsupported for those that are
// not merged but copied.
std::map<FoldKind, Group> make_groups(const MergeCall& call, const std::vector<ResidentTensor>& tensors,
                                      const Peaks& peaks, Memory& memory);

// The same tables for tensors in an order of their own; nobody asks for their peaks.
void fill_group(Group& group, Memory& memory);

}  // namespace fk::cuda
