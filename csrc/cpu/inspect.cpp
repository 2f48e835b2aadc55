// inspect.cpp: which elements of a span overflowed, and whether an input is to blame.
#include "cpu/inspect.hpp"

#include <cmath>
#include <vector>

namespace fk {
namespace {

bool finite_at(const void* array, DType dtype, int64_t i) {
  return with_format(dtype, [&]<DType D>() { return std::isfinite(load<D, double>(array, i)); });
}

}  // namespace

bool overflows(DType out_dtype, int64_t peak) {
  switch (out_dtype) {
    case DType::f64:
      return peak >= kInfinityBits<double>;
    case DType::bf16:
      return peak >= kOverflowBits<DType::bf16>;
    case DType::f16:
      return peak >= kOverflowBits<DType::f16>;
    case DType::f8_e4m3:
      return peak >= kOverflowBits<DType::f8_e4m3>;
    case DType::f8_e5m2:
      return peak >= kOverflowBits<DType::f8_e5m2>;
    default:
      return peak >= kInfinityBits<float>;
  }
}

Inspection inspect(const FoldCall& call, FoldFunction fold) {
  Inspection found;
  std::vector<float> unrounded;  // e4m3fn hides an infinity as 448, so look at the value before it was stored
  if (call.out_dtype == DType::f8_e4m3) {
    unrounded.resize(static_cast<size_t>(call.n));
    FoldCall again = call;
    again.out = unrounded.data();
    again.out_dtype = DType::f32;
    fold(again);
  }
  for (int64_t i = 0; i < call.n; ++i) {
    const bool finite =
        unrounded.empty() ? finite_at(call.out, call.out_dtype, i) : std::isfinite(unrounded[static_cast<size_t>(i)]);
    if (finite) {
      if (!unrounded.empty()) found.saturated += std::fabs(unrounded[static_cast<size_t>(i)]) > 464.0f;
      continue;
    }
    bool inputs_finite = !call.base || finite_at(call.base, call.base_dtype, i);
    for (int k = 0; k < call.count; ++k) inputs_finite = inputs_finite && finite_at(call.models[k], call.dtypes[k], i);
    if (!inputs_finite) {
      ++found.inherited;
    } else if (found.created++ == 0) {
      found.first_created = i;
    }
  }
  return found;
}

}  // namespace fk
