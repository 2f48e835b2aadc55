// deltas.hpp: walk over a span of model - base, W elements at a time, whatever their formats.
#pragma once
#include "cpu/span.hpp"

namespace fk {

struct DeltaSpan {
  const void* base;  // null: the model's own values
  DType base_dtype;
  const void* model;
  DType dtype;
  int64_t n;
};

FK_FN DeltaSpan part_of(const DeltaSpan& span, int64_t first, int64_t n) {
  const auto at = [first](const void* array, DType dtype)
                      FK_INLINE_LAMBDA { return static_cast<const char*>(array) + first * size_of(dtype); };
  return {span.base ? at(span.base, span.base_dtype) : nullptr, span.base_dtype, at(span.model, span.dtype), span.dtype,
          n};
}

template <class V, DType D, class F>
FK_FN int64_t visit_direct(const DeltaSpan& span, F&& visit) {
  constexpr int W = lane_count<V>;
  const int64_t whole = span.n / W * W;
  if (span.base)
    for (int64_t i = 0; i < whole; i += W) visit(V(load<D, V>(span.model, i) - load<D, V>(span.base, i)), i);
  else
    for (int64_t i = 0; i < whole; i += W) visit(load<D, V>(span.model, i), i);
  return whole;
}

// Calls visit(delta, i) for vectors of elements from i on and, where a vector would be incomplete, for single elements.
template <class V, class F>
FK_FN void visit_deltas(const DeltaSpan& span, F&& visit) {
  using T = Element<V>;
  int64_t first = 0;
  if constexpr (!is_scalar<V>) {
    if (!span.base || span.base_dtype == span.dtype) {
      if (span.dtype == DType::bf16) first = visit_direct<V, DType::bf16>(span, visit);
      if (span.dtype == DType::f16) first = visit_direct<V, DType::f16>(span, visit);
      if (span.dtype == DType::f32) first = visit_direct<V, DType::f32>(span, visit);
    }
  }
  constexpr int64_t block = 512;
  T model[block], base[block];
  for (int64_t i = first; i < span.n; i += block) {
    const int64_t n = span.n - i < block ? span.n - i : block;
    decode_any<V>(span.dtype, static_cast<const char*>(span.model) + i * size_of(span.dtype), model, n);
    if (span.base)
      decode_any<V>(span.base_dtype, static_cast<const char*>(span.base) + i * size_of(span.base_dtype), base, n);
    else
      memset(base, 0, sizeof base);
    constexpr int W = lane_count<V>;
    int64_t j = 0;
    for (; j + W <= n; j += W) visit(V(load_unaligned<V>(model + j) - load_unaligned<V>(base + j)), i + j);
    for (; j < n; ++j) visit(T(model[j] - base[j]), i + j);
  }
}

}  // namespace fk
