// groups.cpp: which tensors share a kernel.
#include "cuda/groups.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {
namespace {

FoldKind kind_of(const MergeCall& call, const Job& job) {
  std::vector<DType> formats{job.out.dtype};
  for (const TensorRef& input : job.inputs) formats.push_back(input.dtype);
  if (job.base) formats.push_back(job.base->dtype);
  FoldKind kind = fold_kind(formats, job.count(), job.base.has_value());
  kind.by_vector = call.axis(job) != Axis::tensor;
  return kind;
}

void describe(const ResidentTensor& tensor, FoldTensor& described, Memory::Table<FoldModel>& models) {
  const Job& job = *tensor.job;
  for (size_t k = 0; k < job.inputs.size(); ++k)
    models.here[k] = {array_of(tensor.inputs[k], job.inputs[k].dtype), 0, 65536, nullptr};
  described.base = array_of(tensor.base, job.base ? job.base->dtype : job.out.dtype);
  described.out = array_of(tensor.out, job.out.dtype);
  described.n = tensor.units();
  described.first = job.cut_offset + tensor.first();
  described.count = job.count();
  described.models = models.there;
}

}  // namespace

void fill_group(Group& group, Memory& memory) {
  group.tensors = memory.table<FoldTensor>(static_cast<int64_t>(group.members.size()));
  for (size_t i = 0; i < group.members.size(); ++i) {
    FoldTensor& described = group.tensors.here[i];
    group.models.push_back(memory.table<FoldModel>(group.members[i]->job->count()));
    describe(*group.members[i], described, group.models.back());
    described.first_chunk = group.chunks;
    group.chunks += (described.n + kChunk - 1) / kChunk;
  }
}

std::map<FoldKind, Group> make_groups(const MergeCall& call, const std::vector<ResidentTensor>& tensors,
                                      const Peaks& peaks, Memory& memory) {
  std::map<FoldKind, Group> groups;
  for (const ResidentTensor& tensor : tensors) {
    const Job& job = *tensor.job;
    if (job.kind != Job::Kind::merge)
      throw Unsupported("tensor '" + job.name + "' is copied, not merged: that is not done on a GPU");
    if (job.units() > 0) groups[kind_of(call, job)].members.push_back(&tensor);
  }
  for (auto& [kind, group] : groups) {
    group.kind = kind;
    fill_group(group, memory);
    for (size_t i = 0; i < group.members.size(); ++i) group.tensors.here[i].peak = peaks.of(group.members[i]);
  }
  return groups;
}

}  // namespace fk::cuda
