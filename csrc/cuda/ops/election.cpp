// election.cpp: the folds of an election, and of those that agree, in one pass each.
#include "cuda/ops/enqueue.hpp"
#include "cuda/ops/kernels.hpp"
#include "cuda/ops/operations.hpp"
#include "cuda/ops/weights.hpp"
#include "ops/agreement.hpp"

namespace fk::cuda {
namespace {

void elect(Election by, std::span<const Tensor> models, const Weights& weights, int64_t elements, bool f64,
           int8_t* signs, const DeviceExecution& how) {
  if (elements == 0) return;
  const auto count = static_cast<int>(models.size());
  enqueue(how, [&](Memory& memory) {
    const auto table = describe_tensors(models, {nullptr, DType::f32}, elements, memory);
    const WeightTable placed(weights, count, 1, f64, memory);
    const auto one = memory.table<double>(1);  // the scale of a sum
    if (f64)
      *one.here = 1;
    else
      *reinterpret_cast<float*>(one.here) = 1;
    table.here->out = array_of(signs, DType::i8);
    table.here->parameters = placed.there();
    table.here->shared = one.there;
    const FoldBatch batch = batch_of(table);
    return [=](const Queue& queue) {
      placed.complete(queue);
      elect_sign(by, batch, count, f64, queue);
    };
  });
}

template <class T>
const void* place_agreement(Memory& memory) {
  const auto shared = memory.table<Agreement::Shared<T>>(1);
  *shared.here = agreement_of<T>();
  return shared.there;
}

}  // namespace

void elect_by_sum(std::span<const Tensor> models, const Weights& weights, int64_t elements, bool f64, int8_t* signs,
                  const DeviceExecution& how) {
  elect(Election::sum, models, weights, elements, f64, signs, how);
}

void elect_by_count(std::span<const Tensor> models, const Weights& weights, int64_t elements, bool f64, int8_t* signs,
                    const DeviceExecution& how) {
  elect(Election::count, models, weights, elements, f64, signs, how);
}

void disjoint_mean(std::span<const Tensor> models, const Weights& weights, const int8_t* signs, int64_t elements,
                   void* out, DType out_dtype, const DeviceExecution& how) {
  if (elements == 0) return;
  const bool f64 = out_dtype == DType::f64;
  constexpr int kCopies = 3;  // weight, vote and mass are the same
  static_assert(sizeof(Agreement::Model<float>) == kCopies * sizeof(float));
  enqueue(how, [&](Memory& memory) {
    const auto table = describe_tensors(models, {nullptr, DType::f32}, elements, memory);
    const WeightTable placed(weights, static_cast<int>(models.size()), kCopies, f64, memory);
    table.here->out = array_of(out, out_dtype);
    table.here->parameters = placed.there();
    table.here->shared = f64 ? place_agreement<double>(memory) : place_agreement<float>(memory);
    const FoldBatch batch = batch_of(table);
    return [=](const Queue& queue) {
      placed.complete(queue);
      average_agreeing(batch, signs, f64, queue);
    };
  });
}

}  // namespace fk::cuda
