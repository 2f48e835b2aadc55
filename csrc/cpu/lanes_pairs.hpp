// lanes_pairs.hpp: twice as many 16-bit numbers as there are lanes, as two vectors, and back.
//
// A register of 2 W of them falls into two vectors of W by one instruction each, and comes together again by one: four
// lanes of the lower vector take elements 0 to 3 of every eight, those of the upper 4 to 7. Nothing crosses the 16-byte
// halves and quarters that AVX works in.
#pragma once
#include "cpu/lanes.hpp"

namespace fk {

// The element, of 2 W, that a lane of vector `half` holds.
constexpr int paired_element(int half, int lane) { return lane / 4 * 8 + half * 4 + lane % 4; }

// Elements i to i + 2 W of BF16: vector `half` of the pair. A BF16 is the upper half of a float.
template <int half, class V>
FK_FN V load_paired(const char* array, int64_t i) {
  constexpr int W = lane_count<V>;
  using Codes = typename Lanes<W>::Pairs;
#if defined(__AVX2__)  // GCC would take two steps, or an index in a register
  typedef short Halves __attribute__((vector_size(32)));
  if constexpr (W == 8) {
    const Halves zero{}, codes = load_unaligned<Halves>(array + 2 * i);
    return bits_as<V>(half ? __builtin_ia32_punpckhwd256(zero, codes) : __builtin_ia32_punpcklwd256(zero, codes));
  }
#endif
#if defined(__AVX512BW__)
  typedef short Halves16 __attribute__((vector_size(64)));
  if constexpr (W == 16) {
    const Halves16 zero{}, codes = load_unaligned<Halves16>(array + 2 * i);
    return bits_as<V>(half ? __builtin_ia32_punpckhwd512_mask(zero, codes, zero, uint32_t(-1))
                           : __builtin_ia32_punpcklwd512_mask(zero, codes, zero, uint32_t(-1)));
  }
#endif
  return []<class C, int... place>(const C& codes, std::integer_sequence<int, place...>) FK_INLINE_LAMBDA {
    return bits_as<V>(__builtin_shuffle(C{}, codes, C{(place % 2 * (2 * W + paired_element(half, place / 2)))...}));
  }(load_unaligned<Codes>(array + 2 * i), std::make_integer_sequence<int, 2 * W>());
}

// The lower 16 bits of the integers of a pair, which are small enough for them.
template <class I>
FK_FN auto packed(const I& lower, const I& upper) {
#if defined(__x86_64__)
  if constexpr (sizeof(I) == 16) return __builtin_ia32_packssdw128(lower, upper);
#if defined(__AVX2__)
  if constexpr (sizeof(I) == 32) return __builtin_ia32_packssdw256(lower, upper);
#endif
#if defined(__AVX512BW__)
  if constexpr (sizeof(I) == 64) {
    typedef short Halves __attribute__((vector_size(64)));
    return __builtin_ia32_packssdw512_mask(lower, upper, Halves{}, uint32_t(-1));
  }
#endif
#else
  constexpr int W = sizeof(I) / 4;
  using Codes = typename Lanes<W>::Pairs;
  return []<class C, int... place>(const C& a, const C& b, std::integer_sequence<int, place...>) FK_INLINE_LAMBDA {
    return __builtin_shuffle(a, b, C{(place / 4 % 2 * 2 * W + 2 * (place / 8 * 4 + place % 4))...});
  }(bits_as<Codes>(lower), bits_as<Codes>(upper), std::make_integer_sequence<int, 2 * W>());
#endif
}

// Rounds a pair to nearest even and stores it as BF16 at element i. A NaN may come out as anything: who stores so looks
// at the magnitudes and, if one was a NaN, stores again.
template <class V>
FK_FN void store_paired(char* array, int64_t i, const V& lower, const V& upper, bool streamed) {
  using I = Int<V>;
  const auto rounded = [](const V& value) FK_INLINE_LAMBDA {
    const I bits = bits_as<I>(value);
    return I((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  };
  put_register(array + 2 * i, packed(rounded(lower), rounded(upper)), streamed);
}

// Lane by lane, the bits i + paired_element() of an array. i is a multiple of 2 W.
template <int half, class V>
FK_FN Mask<V> paired_mask(const uint8_t* bits, int64_t i) {
  constexpr int W = lane_count<V>;
  std::conditional_t<W == 4, uint8_t, std::conditional_t<W == 8, uint16_t, uint32_t>> code;
  memcpy(&code, bits + i / 8, sizeof code);
  Int<V> powers;
  for (int lane = 0; lane < W; ++lane) powers[lane] = static_cast<int32_t>(1u << paired_element(half, lane));
  return (splat_int<V>(static_cast<int32_t>(code)) & powers) == powers;
}

}  // namespace fk
