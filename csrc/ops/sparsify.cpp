// sparsify.cpp: cuts a tensor where its thresholds change, or draws its masks, and lets a fold's kernel drop elements.
#include "ops/sparsify.hpp"

#include <algorithm>

#include "core/draws.hpp"
#include "cpu/philox.hpp"
#include "cpu/select.hpp"
#include "ops/folding.hpp"

FK_KERNEL_TABLE(fk_keep_bits, void, const fk::DrawCall&);

namespace fk::ops {
namespace {

constexpr int64_t kStretch = 4096;
alignas(64) constexpr char kZeros[kStretch * 8] = {};  // the base

// Of one model: what is kept of it, times the factor.
Values keep_values(double factor) {
  Values values{{{"weight", {1}}, {"lambda", {1}}, {"normalize", {0}}}};
  values.factors = {factor};
  return values;
}

// Elements first to end of the tensor, stretch by stretch of the base of zeros.
void fold_stretches(Folding& folding, const FoldParameters& with, const Tensor& tensor, int64_t first, int64_t end,
                    const uint8_t* keep, void* out, int worker) {
  for (int64_t i = first; i < end; i += kStretch) {
    const Tensor model{tensor.at(i), tensor.dtype};
    folding.fold({.base = {kZeros, tensor.dtype},
                  .models = {&model, 1},
                  .keep = keep ? keep + (i - first) / 8 : nullptr,
                  .out = static_cast<char*>(out) + i * size_of(tensor.dtype),
                  .n = std::min(kStretch, end - i)},
                 worker, with);
  }
}

}  // namespace

void keep_above(const Tensor& tensor, const Rows& rows, std::span<const Cut> cuts, void* out, const Execution& how) {
  const Method& method = method_named("breadcrumbs");  // of which the largest are not dropped
  const bool f64 = tensor.dtype == DType::f64;
  Folding folding(method, keep_values(1), 1, tensor.dtype, how);
  for_each_tile(rows.elements(), how.threads, [&](int64_t first, int64_t n, int worker) {
    FoldParameters parameters = folding.parameters;
    for (int64_t i = first; i < first + n;) {
      const int64_t row = i / rows.length, start = row * rows.length;
      const Cut& cut = cuts[static_cast<size_t>(row)];
      int64_t end = std::min(start + rows.length, first + n);
      if (i - start <= cut.last && cut.last < end - start) end = start + cut.last + 1;
      method.set_cut(parameters, 0, 0, f64, kept_above(cut, i - start, f64));
      fold_stretches(folding, parameters, tensor, i, end, nullptr, out, worker);
      i = end;
    }
  });
}

void keep_at_random(const Tensor& tensor, int64_t elements, const Drawing& drawing, void* out, const Execution& how) {
  const uint32_t below = kept_draws(drawing.density);
  const uint64_t key = draw_key(drawing.seed, drawing.model, drawing.name);
  const double factor = drawing.rescale && below ? 65536.0 / below : 1;
  Folding folding(method_named("dare_linear"), keep_values(factor), 1, tensor.dtype, how);
  for_each_tile(elements, how.threads, [&](int64_t first, int64_t n, int worker) {
    uint8_t bits[kTile / 8 + 8];  // a kernel of 16 lanes reads one byte on
    if (below == 0 || below == 65536)
      std::fill(std::begin(bits), std::end(bits), below ? 0xff : 0);
    else
      fk_keep_bits[static_cast<int>(how.isa)]({key, first / 8, (n + 7) / 8, below, bits, nullptr});
    fold_stretches(folding, folding.parameters, tensor, first, first + n, bits, out, worker);
  });
}

}  // namespace fk::ops
