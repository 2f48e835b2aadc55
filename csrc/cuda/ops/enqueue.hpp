// enqueue.hpp: one operation, described in memory that the caller allocates once, then launched on the caller's stream.
#pragma once
#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "cuda/tuning.cuh"
#include "ops/device_ops.hpp"

namespace fk::cuda {

// describe(memory) lays out what kernels read and write, and returns what is to be launched: launches(queue). It is
// called twice, first to measure.
template <class Describe>
void enqueue(const ops::DeviceExecution& how, Describe&& describe) {
  const OnDevice chosen(how.device);
  const Queue queue = queue_on(how.device, how.stream);
  Memory measure;
  describe(measure);
  const int64_t bytes = measure.used().total();
  Memory memory(bytes > 0 ? how.allocate(bytes) : nullptr, measure.used());
  const auto launches = describe(memory);
  memory.send(queue);
  memory.clear(queue);
  launches(queue);
}

inline Array array_of(const ops::Tensor& tensor, int64_t first = 0) { return array_of(tensor.at(first), tensor.dtype); }

// A tensor of each model and the base as one entry of a kernel's table; parameters and result are left to be set.
inline Memory::Table<FoldTensor> describe_tensors(std::span<const ops::Tensor> models, const ops::Tensor& base,
                                                  int64_t elements, Memory& memory) {
  const auto table = memory.table<FoldTensor>(1);
  const auto of_models = memory.table<FoldModel>(static_cast<int64_t>(models.size()));
  for (size_t k = 0; k < models.size(); ++k) of_models.here[k] = {array_of(models[k]), 0, 65536, nullptr};
  *table.here = {};
  table.here->base = {nullptr, base.dtype, true};
  if (base.data) table.here->base = array_of(base);
  table.here->n = elements;
  table.here->count = static_cast<int>(models.size());
  table.here->models = of_models.there;
  return table;
}

inline FoldBatch batch_of(const Memory::Table<FoldTensor>& table) {
  return {table.there, 1, pieces(table.here->n, kChunk)};
}

}  // namespace fk::cuda
