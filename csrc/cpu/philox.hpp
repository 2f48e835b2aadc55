// philox.hpp: a span's random draws (see core/draws.hpp), several counters at once.
#pragma once
#include "cpu/lanes.hpp"

namespace fk {

inline constexpr uint32_t kPhiloxMultipliers[2] = {0xD2511F53u, 0xCD9E8D57u};
inline constexpr uint32_t kPhiloxWeyl[2] = {0x9E3779B9u, 0xBB67AE85u};

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
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
    for (auto& [x] : state) {
      const U p0 = multiply_words(x[0], kPhiloxMultipliers[0]), p1 = multiply_words(x[2], kPhiloxMultipliers[1]);
      x[0] = (p1 >> 32) ^ x[1] ^ uint64_t(k0);
      x[2] = (p0 >> 32) ^ x[3] ^ uint64_t(k1);
      x[1] = p1;
      x[3] = p0;
    }
    k0 += kPhiloxWeyl[0];
    k1 += kPhiloxWeyl[1];
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
  uint32_t below;   // keep_bits: the draws that are kept, 0 to 65536
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
  for (; i + 2 * word_count<U> <= call.blocks; i += 2 * word_count<U>) some.template operator()<U, 2>(i);
  for (; i < call.blocks; ++i) some.template operator()<uint64_t, 1>(i);
}

template <class U>
FK_FN uint64_t word_lane(const U& word, int lane) {
  if constexpr (is_scalar<U>)
    return word;
  else
    return word[lane];
}

// Bit j of byte b: whether element j of block b is kept.
template <int W>
FK_FN void keep_bits(const DrawCall& call) {
  visit_words<W>(call, [&]<class U>(int64_t i, const PhiloxWords<U>& words) FK_INLINE_LAMBDA {
    const uint64_t below = call.below;
    U byte = U{};
#pragma GCC unroll 4
    for (int word = 0; word < 4; ++word) {
      // A difference below zero has its highest bit set.
      const U low = ((words.x[word] & 0xffffu) - below) >> 63;
      const U high = (((words.x[word] >> 16) & 0xffffu) - below) >> 63;
      byte |= (low | (high << 1)) << (2 * word);
    }
    for (int lane = 0; lane < word_count<U>; ++lane) call.bits[i + lane] = static_cast<uint8_t>(word_lane(byte, lane));
  });
}

template <int W>
FK_FN void draw_all(const DrawCall& call) {
  visit_words<W>(call, [&]<class U>(int64_t i, const PhiloxWords<U>& words) FK_INLINE_LAMBDA {
    const U low = (words.x[0] & 0xffffffffu) | (words.x[1] << 32);
    const U high = (words.x[2] & 0xffffffffu) | (words.x[3] << 32);
    for (int lane = 0; lane < word_count<U>; ++lane) {
      const uint64_t pair[2] = {word_lane(low, lane), word_lane(high, lane)};
      memcpy(call.draws + 8 * (i + lane), pair, sizeof pair);
    }
  });
}

}  // namespace fk
