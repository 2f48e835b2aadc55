// portable.hpp: the vocabulary a method is written in.
//
// `V` is `float` (or `double`) in a GPU thread and in the scalar reference, and a GCC vector of 4, 8 or 16 floats on a
// core. Everything here means the same, to the bit, for all of them: plain arithmetic, comparisons and select. There
// are no fused multiply-adds and no min/max instructions, whose treatment of NaN and of -0 differs between machines.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__CUDACC__)
#define FK_FN __host__ __device__ __forceinline__
#else
#define FK_FN inline __attribute__((always_inline))
#endif

// Before a loop over models whose number is a constant.
#if defined(__CUDACC__)
#define FK_UNROLL _Pragma("unroll 8")
#else
#define FK_UNROLL _Pragma("GCC unroll 8")
#endif

#define FK_INLINE_LAMBDA __attribute__((always_inline))

namespace fk {

template <class V>
inline constexpr bool is_scalar = std::is_arithmetic_v<V>;

// What a comparison of two V yields: bool, or a vector of all-ones and all-zeros integers.
template <class V>
using Mask = decltype(V{} > V{});

// The scalar a V is made of, and the signed integers of its width (one, or one a lane).
template <class V, bool = is_scalar<V>>
struct LaneTypes {
  using Element = V;
  using Int = std::conditional_t<sizeof(V) == 8, int64_t, int32_t>;
};
template <class V>
struct LaneTypes<V, false> {
  using Element = std::remove_reference_t<decltype(V{}[0])>;
  using Int = Mask<V>;
};
template <class V>
using Element = typename LaneTypes<V>::Element;
template <class V>
using Int = typename LaneTypes<V>::Int;
template <class T>
using IntOf = typename LaneTypes<T, true>::Int;

template <class To, class From>
FK_FN To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// The same value in every lane. (x - 0 keeps the sign of a negative zero, x + 0 would not.)
template <class V>
FK_FN V splat(Element<V> value) {
  if constexpr (is_scalar<V>)
    return value;
  else
    return value - V{};
}

template <class V>
FK_FN Int<V> splat_int(IntOf<Element<V>> value) {
  if constexpr (is_scalar<V>)
    return value;
  else
    return value - Int<V>{};
}

// A struct of numbers of type Element<V>, or integers of its size, to the same struct with every number in all lanes.
template <class V, class Wide, class Narrow>
FK_FN Wide splat_struct(const Narrow& narrow) {
  using I = IntOf<Element<V>>;
  constexpr int fields = sizeof(Narrow) / sizeof(I);
  static_assert(sizeof(Narrow) % sizeof(I) == 0 && sizeof(Wide) == fields * sizeof(V));
  Wide wide;
  for (int field = 0; field < fields; ++field) {
    I number;
    memcpy(&number, reinterpret_cast<const char*>(&narrow) + field * sizeof number, sizeof number);
    const Int<V> lanes = splat_int<V>(number);
    memcpy(reinterpret_cast<char*>(&wide) + field * sizeof lanes, &lanes, sizeof lanes);
  }
  return wide;
}

template <class M, class A>
FK_FN A select(const M& condition, const A& yes, const A& no) {
  if constexpr (is_scalar<A> || sizeof(A) == 64) {
    return condition ? yes : no;  // a predicate register holds the condition
  } else {
    // GCC compares a mask it did not just make with zero before it chooses by it; as bits it chooses at once.
    return bits_as<A>(Int<A>((condition & bits_as<Int<A>>(yes)) | (~condition & bits_as<Int<A>>(no))));
  }
}

// `value`, negated where `sign` has its sign bit set.
template <class V>
FK_FN V flipped_by_sign(const V& sign, const V& value) {
  constexpr IntOf<Element<V>> bit = std::numeric_limits<IntOf<Element<V>>>::min();
  return bits_as<V>(Int<V>(bits_as<Int<V>>(value) ^ (bits_as<Int<V>>(sign) & bit)));
}

template <class T>
inline constexpr IntOf<T> kInfinityBits = sizeof(T) == 8 ? IntOf<T>(0x7ff0000000000000) : IntOf<T>(0x7f800000);

// |value| as an integer: the same order as the magnitudes, and exact. NaNs come above infinity, in no order that
// matters.
template <class V>
FK_FN Int<V> magnitude_bits(const V& value) {
  constexpr IntOf<Element<V>> signless = sizeof(Element<V>) == 8 ? INT64_MAX : INT32_MAX;
  return bits_as<Int<V>>(value) & signless;
}

// In an order every NaN is the same number, one above infinity: which NaN a processor makes differs between them.
template <class T>
inline constexpr IntOf<T> kNaNMagnitude = kInfinityBits<T> + 1;
template <class V>
FK_FN Int<V> ordered_magnitude(const V& value) {
  const Int<V> magnitude = magnitude_bits(value), nan = splat_int<V>(kNaNMagnitude<Element<V>>);
  return magnitude < nan ? magnitude : nan;
}

}  // namespace fk
