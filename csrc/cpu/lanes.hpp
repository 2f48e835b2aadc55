// lanes.hpp: W floats at a time on a core: loads, stores, and the few operations GCC's vectors cannot express.
//
// W is the instruction set: 1 scalar, 4 SSE2 (any x86-64), 8 AVX2, 16 AVX-512. Everything is forced inline into a
// function compiled for that instruction set (see isa.hpp); this is the only file that names a processor's
// instructions.
#pragma once
#include <cstddef>
#include <cstring>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>  // declares the builtins used below
#endif

#include "core/formats.hpp"

namespace fk {

template <int W>
struct Lanes {
  typedef float V __attribute__((vector_size(4 * W)));
  typedef int32_t I __attribute__((vector_size(4 * W)));
  typedef uint16_t U16 __attribute__((vector_size(2 * W)));
  typedef uint8_t U8 __attribute__((vector_size(W)));
  typedef uint16_t Pairs __attribute__((vector_size(4 * W)));   // 16-bit codes, two a lane
  typedef long long Longs __attribute__((vector_size(4 * W)));  // for instructions that take bits of whatever kind
};
template <>
struct Lanes<1> {
  using V = float;
  using I = int32_t;
  using U16 = uint16_t;
  using U8 = uint8_t;
};

template <class V>
inline constexpr int lane_count = sizeof(V) / sizeof(Element<V>);

template <class To, class From>
FK_FN To convert(const From& from) {
  if constexpr (is_scalar<From>)
    return static_cast<To>(from);
  else
    return __builtin_convertvector(from, To);
}

template <class T>
FK_FN T load_unaligned(const void* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

// 16-bit codes to 32-bit integers. GCC 12 would convert them by halves.
template <class U16>
FK_FN auto widen(const U16& codes) {
#if defined(__x86_64__)
  typedef short S8 __attribute__((vector_size(16)));
  typedef short S16 __attribute__((vector_size(32)));
#if defined(__SSE4_1__)
  typedef int64_t L2 __attribute__((vector_size(16)));
  if constexpr (sizeof(U16) == 8)
    return Lanes<4>::I(__builtin_ia32_pmovzxwd128(bits_as<S8>(L2{bits_as<int64_t>(codes), 0})));
  else
#endif
      if constexpr (sizeof(U16) == 16)
    return Lanes<8>::I(__builtin_ia32_pmovzxwd256(bits_as<S8>(codes)));
  else if constexpr (sizeof(U16) == 32)
    return Lanes<16>::I(__builtin_ia32_pmovzxwd512_mask(bits_as<S16>(codes), Lanes<16>::I{}, uint16_t(-1)));
  else
#endif
    return convert<typename Lanes<sizeof(U16) / 2>::I>(codes);
}

// As many floats to doubles. GCC 12 would convert them by halves.
template <class Doubles, class F>
FK_FN Doubles to_doubles(const F& floats) {
#if defined(__AVX__)
  typedef float F4 __attribute__((vector_size(16)));
  if constexpr (sizeof(F) == 16) return bits_as<Doubles>(__builtin_ia32_cvtps2pd256(bits_as<F4>(floats)));
#endif
#if defined(__AVX512F__)
  typedef float F8 __attribute__((vector_size(32)));
  typedef double D8 __attribute__((vector_size(64)));
  if constexpr (sizeof(F) == 32)
    return bits_as<Doubles>(__builtin_ia32_cvtps2pd512_mask(bits_as<F8>(floats), D8{}, uint8_t(-1), 4));
#endif
  return __builtin_convertvector(floats, Doubles);
}

#if defined(__AVX512BW__)
// 8 or 16 numbers of 16 bits as the upper halves of as many lanes, in one step instead of a widening and a shift.
template <class V>
FK_FN V upper_halves(const char* from) {
  typedef short H8 __attribute__((vector_size(32)));
  typedef short H16 __attribute__((vector_size(64)));
  const auto places = []<class H, int... half>(H, std::integer_sequence<int, half...>)
                          FK_INLINE_LAMBDA { return H{(half / 2)...}; };
  if constexpr (lane_count<V> == 16) {
    const H16 codes = bits_as<H16>(__builtin_ia32_si512_256si(load_unaligned<Lanes<8>::I>(from)));
    const H16 at = places(H16{}, std::make_integer_sequence<int, 32>());
    return bits_as<V>(__builtin_ia32_permvarhi512_mask(codes, at, H16{}, 0xaaaaaaaau));
  } else {
    const H8 codes = bits_as<H8>(__builtin_ia32_si256_si(load_unaligned<Lanes<4>::I>(from)));
    const H8 at = places(H8{}, std::make_integer_sequence<int, 16>());
    return bits_as<V>(__builtin_ia32_permvarhi256_mask(codes, at, H8{}, uint16_t(0xaaaa)));
  }
}
#endif

// W elements of format D, from element i of an array that need not be aligned, decoded to the compute type.
template <DType D, class V>
FK_FN V load(const void* array, int64_t i) {
  const char* from = static_cast<const char*>(array) + i * size_of(D);
  if constexpr (is_scalar<V> && sizeof(V) == 8) {  // double, for F64 outputs
    if constexpr (D == DType::f64)
      return load_unaligned<double>(from);
    else
      return static_cast<double>(load<D, float>(array, i));
  } else {
    using L = Lanes<lane_count<V>>;
    if constexpr (D == DType::f64) {
      V narrowed;
      for (int lane = 0; lane < lane_count<V>; ++lane) {
        const float value = static_cast<float>(load_unaligned<double>(from + 8 * lane));
        memcpy(reinterpret_cast<char*>(&narrowed) + 4 * lane, &value, 4);
      }
      return narrowed;
    } else if constexpr (D == DType::f32) {
      return load_unaligned<V>(from);
    } else if constexpr (D == DType::bf16 && lane_count<V> == 4) {
      typedef uint16_t U8 __attribute__((vector_size(16)));
      typedef int64_t L2 __attribute__((vector_size(16)));
      const U8 codes = bits_as<U8>(L2{load_unaligned<int64_t>(from), 0});
      return bits_as<V>(__builtin_shuffle(U8{}, codes, U8{0, 8, 1, 9, 2, 10, 3, 11}));  // one step to the upper halves
    } else if constexpr (size_of(D) == 2) {
#if defined(__AVX512BW__)
      if constexpr (D == DType::bf16 && lane_count<V> >= 8) return upper_halves<V>(from);
#endif
#if defined(__x86_64__)
      if constexpr (D == DType::f16 && lane_count<V> == 8) {
        typedef short Halves __attribute__((vector_size(16)));
        return __builtin_ia32_vcvtph2ps256(load_unaligned<Halves>(from));
      }
#endif
      return decode<D, V>(widen(load_unaligned<typename L::U16>(from)));
    } else {
      return decode<D, V>(convert<typename L::I>(load_unaligned<typename L::U8>(from)));
    }
  }
}

template <DType D, class V>
FK_FN void store(void* array, int64_t i, const V& value) {
  char* to = static_cast<char*>(array) + i * size_of(D);
  if constexpr (D == DType::f64) {
    const double canonical = value == value ? value : bits_as<double>(int64_t(0x7ff8000000000000));
    memcpy(to, &canonical, 8);
  } else {
    using L = Lanes<lane_count<V>>;
    const typename L::I code = encode<D, V>(value);
    if constexpr (size_of(D) == 4) {
      memcpy(to, &code, sizeof code);
    } else if constexpr (size_of(D) == 2) {
      const auto narrow = convert<typename L::U16>(code);
      memcpy(to, &narrow, sizeof narrow);
    } else {
      const auto narrow = convert<typename L::U8>(code);
      memcpy(to, &narrow, sizeof narrow);
    }
  }
}

// One register to memory; past the caches if streamed, which wants it to lie in place.
template <class R>
FK_FN void put_register(char* to, const R& value, bool streamed) {
#if defined(__x86_64__)
  if (streamed) {
    using Longs = typename Lanes<sizeof(R) / 4>::Longs;
    auto* const there = reinterpret_cast<Longs*>(to);
    if constexpr (sizeof(R) == 16) return __builtin_ia32_movntdq(there, bits_as<Longs>(value));
#if defined(__AVX__)
    if constexpr (sizeof(R) == 32) return __builtin_ia32_movntdq256(there, bits_as<Longs>(value));
#endif
#if defined(__AVX512F__)
    if constexpr (sizeof(R) == 64) return __builtin_ia32_movntdq512(there, bits_as<Longs>(value));
#endif
  }
#endif
  memcpy(to, &value, sizeof value);
}

// After it, what was streamed is where other cores see it.
FK_FN void streamed_stores_done() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

// One bit a lane of a comparison's result, lane 0 lowest.
template <class M>
FK_FN uint32_t lane_bits(const M& mask) {
  if constexpr (is_scalar<M>) {
    return mask ? 1 : 0;
  } else {
#if defined(__x86_64__)
    typedef float F4 __attribute__((vector_size(16)));
    typedef float F8 __attribute__((vector_size(32)));
    typedef int I16 __attribute__((vector_size(64)));
    if constexpr (sizeof(M) == 16) return static_cast<uint32_t>(__builtin_ia32_movmskps(bits_as<F4>(mask)));
    if constexpr (sizeof(M) == 32) return static_cast<uint32_t>(__builtin_ia32_movmskps256(bits_as<F8>(mask)));
    if constexpr (sizeof(M) == 64) return static_cast<uint16_t>(__builtin_ia32_cvtd2mask512(bits_as<I16>(mask)));
#endif
    uint32_t bits = 0;
    for (size_t lane = 0; lane < sizeof(M) / 4; ++lane) bits |= (mask[lane] ? 1u : 0u) << lane;
    return bits;
  }
}

// The other way: lane l of the mask from bit i + l of an array, whose last byte read must exist. i is a multiple of the
// lanes.
template <class V>
FK_FN Mask<V> lane_mask(const uint8_t* bits, int64_t i) {
  if constexpr (is_scalar<V>) {
    return (bits[i / 8] >> (i % 8)) & 1;
  } else {
    constexpr int W = lane_count<V>;
    uint32_t code = bits[i / 8];
    if constexpr (W == 4) code >>= i % 8;
    if constexpr (W == 16) code |= uint32_t(bits[i / 8 + 1]) << 8;
    Int<V> powers;
    for (int lane = 0; lane < W; ++lane) powers[lane] = 1 << lane;
    return (splat_int<V>(static_cast<int32_t>(code)) & powers) == powers;
  }
}

// Constant vectors are written out: GCC would put those filled in a loop together anew each time.
template <class V>
FK_FN V lane_numbers() {
  return []<int... lane>(std::integer_sequence<int, lane...>)
             FK_INLINE_LAMBDA { return V{lane...}; }(std::make_integer_sequence<int, lane_count<V>>());
}
// Each lane has the value of the lane `step` below, the lowest have 0.
template <int step, class V>
FK_FN V from_lanes_below(const V& value) {
  return [&]<int... lane>(std::integer_sequence<int, lane...>) FK_INLINE_LAMBDA {
    return __builtin_shuffle(V{}, value, Int<V>{(lane < step ? 0 : lane_count<V> + lane - step)...});
  }(std::make_integer_sequence<int, lane_count<V>>());
}

template <class V>
FK_FN V larger(const V& a, const V& b) {  // of integers, so there is no NaN to worry about
  return a > b ? a : b;
}

}  // namespace fk
