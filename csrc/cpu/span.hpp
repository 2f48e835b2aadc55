// span.hpp: a run of stored elements to the compute type, and back.
#pragma once
#include "cpu/lanes.hpp"

namespace fk {

// Calls f.template operator()<D>() for the floating format named at run time.
template <class F>
FK_FN auto with_format(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f.template operator()<DType::f64>();
    case DType::f16:
      return f.template operator()<DType::f16>();
    case DType::bf16:
      return f.template operator()<DType::bf16>();
    case DType::f8_e4m3:
      return f.template operator()<DType::f8_e4m3>();
    case DType::f8_e5m2:
      return f.template operator()<DType::f8_e5m2>();
    default:
      return f.template operator()<DType::f32>();
  }
}

// n stored elements to out, which has room for n rounded up to whole vectors; the lanes beyond n are set to zero.
template <class V, DType D>
FK_FN void decode_span(const void* in, Element<V>* out, int64_t n) {
  constexpr int W = lane_count<V>;
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const V value = load<D, V>(in, i);
    memcpy(out + i, &value, sizeof value);
  }
  if (i < n) {
    char padded[W * size_of(D)] = {};
    memcpy(padded, static_cast<const char*>(in) + i * size_of(D), (n - i) * size_of(D));
    const V value = load<D, V>(padded, 0);
    memcpy(out + i, &value, sizeof value);
  }
}

// The other way. Returns the largest magnitude met, as bits: it tells whether anything overflowed or is not finite.
template <class V, DType D>
FK_FN IntOf<Element<V>> encode_span(const Element<V>* in, void* out, int64_t n) {
  constexpr int W = lane_count<V>;
  using I = Int<V>;
  constexpr IntOf<Element<V>> signless = sizeof(Element<V>) == 8 ? INT64_MAX : INT32_MAX;
  I peak{};
  int64_t i = 0;
  for (; i + W <= n; i += W) {
    const V value = load_unaligned<V>(in + i);
    peak = larger<I>(peak, bits_as<I>(value) & signless);
    store<D, V>(out, i, value);
  }
  if (i < n) {
    Element<V> padded[W] = {};
    memcpy(padded, in + i, (n - i) * sizeof(Element<V>));
    const V value = load_unaligned<V>(padded);
    peak = larger<I>(peak, bits_as<I>(value) & signless);
    char stored[W * size_of(D)];
    store<D, V>(stored, 0, value);
    memcpy(static_cast<char*>(out) + i * size_of(D), stored, (n - i) * size_of(D));
  }
  if constexpr (is_scalar<V>) {
    return peak;
  } else {
    int32_t largest = 0;
    for (int lane = 0; lane < W; ++lane) largest = peak[lane] > largest ? peak[lane] : largest;
    return largest;
  }
}

// Each file that uses them has its own copy, once and not at every call: a whole block of elements is worth a call, and
// half of the compiler's time went here. Unnamed, so that no other instruction set's copy can be linked instead.
namespace {

template <class V>
__attribute__((noinline, unused)) void decode_any(DType dtype, const void* in, Element<V>* out, int64_t n) {
  with_format(dtype, [&]<DType D>() FK_INLINE_LAMBDA { decode_span<V, D>(in, out, n); });
}

template <class V>
__attribute__((noinline, unused)) IntOf<Element<V>> encode_any(DType dtype, const Element<V>* in, void* out,
                                                               int64_t n) {
  if constexpr (sizeof(Element<V>) == 8) {
    return encode_span<V, DType::f64>(in, out, n);
  } else {
    return with_format(dtype, [&]<DType D>() FK_INLINE_LAMBDA -> int32_t {
      if constexpr (D == DType::f64)
        return 0;  // an F64 output computes in double
      else
        return encode_span<V, D>(in, out, n);
    });
  }
}

}  // namespace

}  // namespace fk
