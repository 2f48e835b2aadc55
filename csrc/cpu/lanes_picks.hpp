// lanes_picks.hpp: which lanes a comparison picked: to count them, to list them.
#pragma once
#include "cpu/lanes.hpp"

namespace fk {

// Bits of 16 lanes, masks of fewer. GCC would make masks of the bits, and bits of the masks.
template <class I>
using Picks = std::conditional_t<sizeof(I) == 64, uint16_t, I>;
template <class I>
FK_FN Picks<I> pick_greater(const I& a, const I& b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(I) == 64)
    return __builtin_ia32_pcmpgtd512_mask(a, b, uint16_t(-1));
  else
#endif
    return a > b;
}
template <class I>
FK_FN Picks<I> pick_equal(const I& a, const I& b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(I) == 64)
    return __builtin_ia32_pcmpeqd512_mask(a, b, uint16_t(-1));
  else
#endif
    return a == b;
}
// One more in each lane picked.
template <class I>
FK_FN I count_picks(const I& counts, const Picks<I>& picks) {
#if defined(__AVX512F__)
  if constexpr (sizeof(I) == 64)
    return __builtin_ia32_paddd512_mask(counts, I{} + 1, counts, picks);
  else
#endif
    return counts - picks;  // a true lane is -1
}
// Writes the numbers of the lanes picked, counted from `first`, one after the other, and returns how many they are. It
// may write as many as there are lanes.
template <class V>
FK_FN int list_picks(const Picks<Int<V>>& picks, int32_t first, int32_t* to) {
#if defined(__AVX512F__)
  if constexpr (lane_count<V> == 16) {
    const Int<V> numbers = lane_numbers<Int<V>>() + first;
    const Int<V> packed = __builtin_ia32_compresssi512_mask(numbers, numbers, picks);
    memcpy(to, &packed, sizeof packed);
    return __builtin_popcount(picks);
  }
#endif
  int count = 0;
  if constexpr (lane_count<V> < 16)
    for (uint32_t bits = lane_bits(picks); bits; bits &= bits - 1) to[count++] = first + __builtin_ctz(bits);
  return count;
}

}  // namespace fk
