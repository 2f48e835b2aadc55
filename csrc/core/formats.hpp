// formats.hpp: exact decoding of stored floats to fp32, and one rounding to nearest even on the way back.
//
// bits are the low end of 32-bit integers, one a lane. Decoding is exact for every format. Encoding rounds once, ties
// to even, subnormals included; f16 and e5m2 overflow to infinity, e4m3fn (which has none) saturates at 448; every NaN
// is stored as one canonical pattern. No step works on subnormal fp32 numbers, which some processors handle 100x
// slower. Formats: IEEE 754-2019; bfloat16; OCP 8-bit Floating Point Specification (OFP8) 1.0.
#pragma once
#include "core/dtype.hpp"
#include "core/portable.hpp"

namespace fk {

template <DType>
struct Format;  // mantissa bits, exponent bias, and the codes of infinity (or the largest value) and NaN
template <>
struct Format<DType::f16> {
  static constexpr int mantissa = 10, bias = 15, sign_bit = 15;
  static constexpr int32_t ceiling = 0x7c00, nan = 0x7e00;
};
template <>
struct Format<DType::f8_e5m2> {
  static constexpr int mantissa = 2, bias = 15, sign_bit = 7;
  static constexpr int32_t ceiling = 0x7c, nan = 0x7f;
};
template <>
struct Format<DType::f8_e4m3> {
  static constexpr int mantissa = 3, bias = 7, sign_bit = 7;
  static constexpr int32_t ceiling = 0x7e, nan = 0x7f;
};

// The smallest fp32 magnitude (as bits) that is stored as infinity, or, for e4m3fn, as a saturated 448.
template <DType D>
inline constexpr int32_t kOverflowBits = 0x7f800000;
template <>
inline constexpr int32_t kOverflowBits<DType::bf16> = 0x7f7f8000;
template <>
inline constexpr int32_t kOverflowBits<DType::f16> = 0x477ff000;  // 65520
template <>
inline constexpr int32_t kOverflowBits<DType::f8_e5m2> = 0x47700000;  // 61440
template <>
inline constexpr int32_t kOverflowBits<DType::f8_e4m3> = 0x43e80001;  // just above 464

template <DType D, class V>
FK_FN V decode(const Int<V>& bits) {
  using I = Int<V>;
  if constexpr (D == DType::f32) {
    return bits_as<V>(bits);
  } else if constexpr (D == DType::bf16) {
    return bits_as<V>(I(bits << 16));
  } else {
    using F = Format<D>;
    constexpr int shift = 23 - F::mantissa;
    constexpr int32_t magnitude_mask = (1 << F::sign_bit) - 1;
    constexpr int32_t rebias = (127 - F::bias) << 23;
    constexpr float smallest_normal = 1.0f / (1 << (F::bias - 1));
    const I sign = I(bits & (1 << F::sign_bit)) << (31 - F::sign_bit);
    const I shifted = I(bits & magnitude_mask) << shift;
    // A subnormal is read as 1.m * 2^(1-bias) and the leading one taken off again: exact, and never subnormal in fp32.
    const V subnormal = bits_as<V>(I(shifted + rebias + (1 << 23))) - smallest_normal;
    I magnitude = select(shifted < I(I{} + (1 << 23)), bits_as<I>(subnormal), I(shifted + rebias));
    if constexpr (D == DType::f8_e4m3)
      magnitude = select(I(bits & magnitude_mask) == I(I{} + F::nan), I(I{} + 0x7fc00000), magnitude);
    else
      magnitude = select(shifted >= I(I{} + (31 << 23)), I(shifted + 2 * rebias), magnitude);
    return bits_as<V>(I(magnitude | sign));
  }
}

template <DType D, class V>
FK_FN Int<V> encode(const V& value) {
  using I = Int<V>;
  const I bits = bits_as<I>(value);
  const I magnitude = bits & 0x7fffffff;
  const auto is_nan = magnitude > I(I{} + 0x7f800000);
  if constexpr (D == DType::f32) {
    return select(is_nan, I(I{} + 0x7fc00000), bits);
  } else if constexpr (D == DType::bf16) {
    // The sign rides along: rounding never carries into it. Only the low half of the result is stored.
    const I rounded = I(bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return select(is_nan, I(I{} + 0x7fc0), rounded);
  } else {
    using F = Format<D>;
    constexpr int shift = 23 - F::mantissa;
    constexpr int32_t half = (1 << (shift - 1)) - 1;
    // Adding a number whose last place is the format's smallest step rounds a subnormal there, once.
    constexpr int32_t magic = (127 + 24 - F::bias - F::mantissa) << 23;
    const I subnormal = bits_as<I>(V(bits_as<V>(magnitude) + bits_as<float>(magic))) - magic;
    const I normal = (I(magnitude + half + ((magnitude >> shift) & 1)) >> shift) - ((127 - F::bias) << F::mantissa);
    I code = select(magnitude < I(I{} + ((128 - F::bias) << 23)), subnormal, normal);
    code = select(code > I(I{} + F::ceiling), I(I{} + F::ceiling), code);
    const I sign = I(bits >> (31 - F::sign_bit)) & (1 << F::sign_bit);
    return select(is_nan, I(I{} + F::nan), I(code | sign));
  }
}

}  // namespace fk
