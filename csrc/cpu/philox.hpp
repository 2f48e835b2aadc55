// philox.hpp: a span's random draws (see core/draws.hpp), several counters at once.
#pragma once
#include "core/draws.hpp"
#include "cpu/lanes.hpp"

namespace fk {

// 64-bit lanes of which the low 32 bits count, half as many as floats: a product needs both halves.
template <int W>
struct Words {
  typedef uint64_t U __attribute__((vector_size(4 * W)));
};
template <>
struct Words<1> {
  using U = uint64_t;
};
template <class U>
inline constexpr int word_count = sizeof(U) / 8;

template <class U>
FK_FN U multiply_words(const U& a, uint32_t factor) {
  const U b = U{} + uint64_t(factor);
#if defined(__x86_64__)
  typedef int I4 __attribute__((vector_size(16)));
  typedef int I8 __attribute__((vector_size(32)));
  typedef int I16 __attribute__((vector_size(64)));
  typedef long long L8 __attribute__((vector_size(64)));
  if constexpr (sizeof(U) == 16) return bits_as<U>(__builtin_ia32_pmuludq128(bits_as<I4>(a), bits_as<I4>(b)));
  if constexpr (sizeof(U) == 32) return bits_as<U>(__builtin_ia32_pmuludq256(bits_as<I8>(a), bits_as<I8>(b)));
  if constexpr (sizeof(U) == 64)
    return bits_as<U>(__builtin_ia32_pmuludq512_mask(bits_as<I16>(a), bits_as<I16>(b), L8{}, uint8_t(-1)));
#endif
  return (a & 0xffffffffu) * b;
}

template <class U>
struct PhiloxWords {
  U x[4];  // the low 32 bits count
};

// Independent calls at once: a round waits for its products.
template <class U, int calls>
FK_FN void philox(PhiloxWords<U> (&state)[calls], uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
#pragma GCC unroll 4
    for (auto& [x] : state) {
      const U p0 = multiply_words(x[0], kPhiloxMultiplier0), p1 = multiply_words(x[2], kPhiloxMultiplier1);
      x[0] = (p1 >> 32) ^ x[1] ^ uint64_t(k0);
      x[2] = (p0 >> 32) ^ x[3] ^ uint64_t(k1);
      x[1] = p1;
      x[3] = p0;
    }
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
}

template <class U>
FK_FN U block_lanes(uint64_t first) {
  U lanes = U{} + first;
  if constexpr (!is_scalar<U>)
    for (int lane = 0; lane < word_count<U>; ++lane) lanes[lane] += static_cast<uint64_t>(lane);
  return lanes;
}

struct DrawCall {
  uint64_t key;
  int64_t first_block;  // of 8 elements
  int64_t blocks;
  uint32_t below;   // keep_bits: the draws that are kept, 1 to 65535
  uint8_t* bits;    // keep_bits: one byte a block
  uint16_t* draws;  // draw_all: eight a block
};

// Calls take(block, words, lane count) for the words of all blocks, word by word.
template <int W, class Take>
FK_FN void visit_words(const DrawCall& call, Take&& take) {
  const auto some = [&]<class U, int calls>(int64_t i) FK_INLINE_LAMBDA {
    PhiloxWords<U> state[calls];
    for (int one = 0; one < calls; ++one) {
      const U block = block_lanes<U>(static_cast<uint64_t>(call.first_block + i + one * word_count<U>));
      state[one] = {{block, block >> 32, U{}, U{}}};
    }
    philox(state, call.key);
    for (int one = 0; one < calls; ++one) take(i + one * word_count<U>, state[one]);
  };
  using U = typename Words<W>::U;
  int64_t i = 0;
  for (; i + 3 * word_count<U> <= call.blocks; i += 3 * word_count<U>) some.template operator()<U, 3>(i);
  if constexpr (W > 4)
    for (; i + word_count<U> <= call.blocks; i += word_count<U>) some.template operator()<U, 1>(i);
  for (; i < call.blocks; ++i) some.template operator()<uint64_t, 1>(i);
}

template <class U>
FK_FN uint64_t word_lane(const U& word, int lane) {
  if constexpr (is_scalar<U>)
    return word;
  else
    return word[lane];
}

// The eight draws of each block, four to a lane.
template <class U>
struct Draws {
  U low, high;
};
template <class U>
FK_FN Draws<U> draws_of(const PhiloxWords<U>& words) {
  return {(words.x[0] & 0xffffffffu) | (words.x[1] << 32), (words.x[2] & 0xffffffffu) | (words.x[3] << 32)};
}

template <size_t bytes>
struct HalfWords {
  typedef int16_t Signed __attribute__((vector_size(bytes)));
  typedef uint16_t Unsigned __attribute__((vector_size(bytes)));
};

// 16-bit lanes: which of four draws are below a limit, as bits first to first + 3 of the lanes they come from.
template <class U>
FK_FN U below_bits(const U& draws, uint32_t below, int first) {
  using S = typename HalfWords<sizeof(U)>::Signed;
  using Code = typename HalfWords<sizeof(U)>::Unsigned;
  const Code flip = Code{} + uint16_t(0x8000);  // unsigned order as signed
  const S limit = bits_as<S>(Code(flip ^ uint16_t(below)));
  Code weights;
  for (size_t lane = 0; lane < sizeof(U) / 2; ++lane) weights[lane] = static_cast<uint16_t>(1 << (first + lane % 4));
  const S less = bits_as<S>(Code(bits_as<Code>(draws) ^ flip)) < limit;
  return bits_as<U>(Code(bits_as<Code>(less) & weights));
}

// Bit j of byte b: whether element j of block b is kept.
template <int W>
FK_FN void keep_bits(const DrawCall& call) {
  visit_words<W>(call, [&]<class U>(int64_t i, const PhiloxWords<U>& words) FK_INLINE_LAMBDA {
    const Draws<U> draws = draws_of(words);
    U bits = below_bits(draws.low, call.below, 0) | below_bits(draws.high, call.below, 4);
    bits |= bits >> 32;
    bits |= bits >> 16;
    for (int lane = 0; lane < word_count<U>; ++lane) call.bits[i + lane] = static_cast<uint8_t>(word_lane(bits, lane));
  });
}

template <int W>
FK_FN void draw_all(const DrawCall& call) {
  visit_words<W>(call, [&]<class U>(int64_t i, const PhiloxWords<U>& words) FK_INLINE_LAMBDA {
    const auto [low, high] = draws_of(words);
    uint16_t* const to = call.draws + 8 * i;
    if constexpr (sizeof(U) == 64) {
      const U pairs[2] = {__builtin_shuffle(low, high, U{0, 8, 1, 9, 2, 10, 3, 11}),
                          __builtin_shuffle(low, high, U{4, 12, 5, 13, 6, 14, 7, 15})};
      memcpy(to, pairs, sizeof pairs);
    } else {  // where picking from two registers takes longer than taking them apart
      for (int lane = 0; lane < word_count<U>; ++lane) {
        const uint64_t pair[2] = {word_lane(low, lane), word_lane(high, lane)};
        memcpy(to + 8 * lane, pair, sizeof pair);
      }
    }
  });
}

}  // namespace fk
