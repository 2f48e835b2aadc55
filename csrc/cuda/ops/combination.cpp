// combination.cpp: the weighted sum of the models, or of their deltas added to the base, in one pass.
#include <algorithm>

#include "core/gram_fold.hpp"
#include "cuda/ops/enqueue.hpp"
#include "cuda/ops/operations.hpp"
#include "cuda/ops/weights.hpp"

namespace fk::cuda {

void linear_combination(std::span<const Tensor> models, const Tensor& base, const Weights& weights, int64_t elements,
                        void* out, DType out_dtype, const DeviceExecution& how) {
  if (elements == 0) return;
  const bool f64 = out_dtype == DType::f64, has_base = base.data != nullptr;
  const auto count = static_cast<int>(models.size());
  std::vector<DType> formats{out_dtype};
  for (const Tensor& model : models) formats.push_back(model.dtype);
  if (has_base) formats.push_back(base.dtype);
  const FoldKind kind = fold_kind(formats, count, has_base);
  static_assert(sizeof(GramSum::Model<float>) == sizeof(float) && sizeof(GramSum::Shared<double>) == sizeof(double));
  enqueue(how, [&](Memory& memory) {
    const auto table = describe_tensors(models, base, elements, memory);
    const WeightTable placed(weights, count, 1, f64, memory);
    const WeightTable scale({{1}}, 1, 1, f64, memory);
    table.here->out = array_of(out, out_dtype);
    table.here->parameters = placed.there();
    table.here->shared = scale.there();
    const FoldBatch batch = batch_of(table);
    return [=](const Queue& queue) {
      placed.complete(queue);
      gram_fold_kernel(has_base)(kind, batch, queue);
    };
  });
}

}  // namespace fk::cuda
