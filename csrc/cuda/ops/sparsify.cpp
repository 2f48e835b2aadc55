// sparsify.cpp: drops elements in one pass, by thresholds where they lie, or by draws made on the way.
#include "core/draws.hpp"
#include "cuda/ops/enqueue.hpp"
#include "cuda/ops/kernels.hpp"
#include "cuda/ops/operations.hpp"

namespace fk::cuda {
namespace {

template <class Launch>
void thin(const Tensor& tensor, int64_t elements, void* out, const DeviceExecution& how, const Launch& launch) {
  if (elements == 0) return;
  const Thinned thinned{array_of(tensor), array_of(out, tensor.dtype), elements};
  enqueue(how, [&](Memory&) { return [&](const Queue& queue) { launch(thinned, queue); }; });
}

}  // namespace

void keep_above(const Tensor& tensor, const Rows& rows, const void* thresholds, const int64_t* last, void* out,
                const DeviceExecution& how) {
  thin(tensor, rows.elements(), out, how, [&](const Thinned& thinned, const Queue& queue) {
    keep_above(thinned, rows.length, thresholds, last, tensor.dtype == DType::f64, queue);
  });
}

void keep_at_random(const Tensor& tensor, int64_t elements, const ops::Drawing& drawing, void* out,
                    const DeviceExecution& how) {
  const uint32_t below = kept_draws(drawing.density);
  const double factor = drawing.rescale && below ? 65536.0 / below : 1;
  thin(tensor, elements, out, how, [&](const Thinned& thinned, const Queue& queue) {
    keep_at_random(thinned, draw_key(drawing.seed, drawing.model, drawing.name), below, factor,
                   tensor.dtype == DType::f64, queue);
  });
}

}  // namespace fk::cuda
