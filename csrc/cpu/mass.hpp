// mass.hpp: the L1 norm of one block of deltas, of all and of those that are kept, and which exceed a threshold.
#pragma once
#include "cpu/deltas.hpp"
#include "cpu/gram.hpp"

namespace fk {

struct MassCall {
  DeltaSpan span;       // from the start of a block of kSumBlock elements, at most to its end
  const uint8_t* keep;  // bit i: element i is kept
  double* sums;         // [2]: of all, of the kept
};

template <class V, DType D>
FK_FN void mass_direct(const MassCall& call, double* all, double* kept) {
  using Doubles = typename Halves<V>::D;
  using F = typename Halves<V>::F;
  constexpr int half = lane_count<V> / 2;
  const DeltaSpan& span = call.span;
  for (int lane = 0; lane < kLanes; lane += lane_count<V>) {
    Doubles all_sums[2] = {}, kept_sums[2] = {};
    for (int64_t i = lane; i < span.n; i += kLanes) {
      const V delta = load<D, V>(span.model, i) - load<D, V>(span.base, i);
      const V magnitude = bits_as<V>(magnitude_bits(delta));
      const V counted = select(lane_mask<V>(call.keep, i), magnitude, splat<V>(0));
      F all_parts[2], kept_parts[2];
      memcpy(all_parts, &magnitude, sizeof magnitude);
      memcpy(kept_parts, &counted, sizeof counted);
#pragma GCC unroll 2
      for (int part = 0; part < 2; ++part) {
        all_sums[part] += to_doubles<Doubles>(all_parts[part]);
        kept_sums[part] += to_doubles<Doubles>(kept_parts[part]);
      }
    }
    for (int part = 0; part < 2; ++part) {
      memcpy(all + lane + part * half, &all_sums[part], sizeof all_sums[part]);
      memcpy(kept + lane + part * half, &kept_sums[part], sizeof kept_sums[part]);
    }
  }
}

template <class V>
FK_FN bool try_mass_direct(const MassCall& call, double* all, double* kept) {
  const DeltaSpan& span = call.span;
  if (span.n % kLanes || span.base_dtype != span.dtype) return false;
  if (span.dtype == DType::bf16) return mass_direct<V, DType::bf16>(call, all, kept), true;
  if (span.dtype == DType::f16) return mass_direct<V, DType::f16>(call, all, kept), true;
  if (span.dtype == DType::f32) return mass_direct<V, DType::f32>(call, all, kept), true;
  return false;
}

// In the order of summation of reduce.hpp.
template <class V>
FK_FN void mass(const MassCall& call) {
  using T = Element<V>;
  double all[kLanes] = {}, kept[kLanes] = {};
  if constexpr (lane_count<V> >= 8) {
    if (try_mass_direct<V>(call, all, kept)) {
      call.sums[0] = add_lanes(all);
      call.sums[1] = add_lanes(kept);
      return;
    }
  }
  const auto at = [](const void* array, DType dtype, int64_t i)
                      FK_INLINE_LAMBDA { return static_cast<const char*>(array) + i * size_of(dtype); };
  const DeltaSpan& span = call.span;
  for (int64_t first = 0; first < span.n; first += kRow) {
    const int64_t n = span.n - first < kRow ? span.n - first : kRow;
    const int64_t padded = (n + kLanes - 1) / kLanes * kLanes;
    T model[kRow] = {}, base[kRow] = {};
    decode_any<V>(span.dtype, at(span.model, span.dtype, first), model, n);
    decode_any<V>(span.base_dtype, at(span.base, span.base_dtype, first), base, n);
    for (int64_t i = 0; i < padded; i += lane_count<V>) {
      const V delta = load_unaligned<V>(model + i) - load_unaligned<V>(base + i);
      const V magnitude = bits_as<V>(magnitude_bits(delta));
      const V counted = select(lane_mask<V>(call.keep, first + i), magnitude, splat<V>(0));
      memcpy(model + i, &magnitude, sizeof magnitude);
      memcpy(base + i, &counted, sizeof counted);
    }
    add_row<V>(model, padded, all);
    add_row<V>(base, padded, kept);
  }
  call.sums[0] = add_lanes(all);
  call.sums[1] = add_lanes(kept);
}

struct ThresholdCall {
  DeltaSpan span;
  int64_t above, ceiling;  // kept: above < magnitude <= ceiling
  uint8_t* bits;           // one bit an element
};

template <class V>
FK_FN void threshold_bits(const ThresholdCall& call) {
  using T = Element<V>;
  const auto above = static_cast<IntOf<T>>(call.above), ceiling = static_cast<IntOf<T>>(call.ceiling);
  memset(call.bits, 0, static_cast<size_t>((call.span.n + 7) / 8));
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t i) FK_INLINE_LAMBDA {
    const Int<U> magnitude = magnitude_bits(delta);
    const auto kept = (magnitude > splat_int<U>(above)) & (magnitude <= splat_int<U>(ceiling));
    const uint32_t code = lane_bits(kept);
    if constexpr (lane_count<U> >= 8)
      memcpy(call.bits + i / 8, &code, lane_count<U> / 8);
    else
      call.bits[i / 8] = static_cast<uint8_t>(call.bits[i / 8] | (code << (i % 8)));
  });
}

struct MagnitudeCall {
  DeltaSpan span;
  void* magnitudes;  // ordered_magnitude of each, as integers of the compute type's size
};

template <class V>
FK_FN void delta_magnitudes(const MagnitudeCall& call) {
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t i) FK_INLINE_LAMBDA {
    const Int<U> magnitude = ordered_magnitude(delta);
    memcpy(static_cast<IntOf<Element<V>>*>(call.magnitudes) + i, &magnitude, sizeof magnitude);
  });
}

}  // namespace fk
