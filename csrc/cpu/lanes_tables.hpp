// lanes_tables.hpp: small tables looked up by many lanes at once, and short numbers compared with limits.
#pragma once
#include "cpu/lanes.hpp"

namespace fk {

// Numbers of 16 bits in vectors of 64 bytes, which only a width of 16 has.
typedef uint16_t Shorts __attribute__((vector_size(64)));
// Numbers of 8 bits in vectors of 32 bytes, for a width of 8.
typedef uint8_t Bytes __attribute__((vector_size(32)));

#if defined(__SSE2__)
// A bit for each of 16 numbers of 16 bits.
FK_FN uint32_t less_bits(const uint16_t* numbers, uint16_t limit) {
  typedef uint16_t U __attribute__((vector_size(16)));
  typedef short S __attribute__((vector_size(16)));
  const U flip = U{} + uint16_t(0x8000);  // unsigned order as signed
  const S bound = bits_as<S>(U((U{} + limit) ^ flip));
  const S low = bits_as<S>(U(load_unaligned<U>(numbers) ^ flip)) < bound;
  const S high = bits_as<S>(U(load_unaligned<U>(numbers + 8) ^ flip)) < bound;
  return static_cast<uint32_t>(__builtin_ia32_pmovmskb128(__builtin_ia32_packsswb128(low, high)));
}
#endif

#if defined(__AVX512BW__)
FK_FN Shorts look_up(const Shorts (&table)[2], const Shorts& codes) {
  return __builtin_shuffle(table[0], table[1], codes);
}
FK_FN uint32_t less_bits(const Shorts& a, const Shorts& b) {
  typedef short S __attribute__((vector_size(64)));
  return __builtin_ia32_ucmpw512_mask(bits_as<S>(a), bits_as<S>(b), 1, uint32_t(-1));
}
#endif

#if defined(__AVX2__)
// 32 numbers below 256, from 16 bits to 8.
FK_FN Bytes narrow(const void* shorts, int shift) {
  typedef uint16_t U __attribute__((vector_size(32)));
  typedef short S __attribute__((vector_size(32)));
  typedef long long L __attribute__((vector_size(32)));
  const U low = load_unaligned<U>(shorts) >> shift,
          high = load_unaligned<U>(static_cast<const U*>(shorts) + 1) >> shift;
  return bits_as<Bytes>(
      __builtin_ia32_permdi256(bits_as<L>(__builtin_ia32_packuswb256(bits_as<S>(low), bits_as<S>(high))), 0xd8));
}
// Quarters of a table, each in both halves of a vector.
FK_FN Bytes look_up(const Bytes (&table)[4], const Bytes& codes) {
  typedef char C __attribute__((vector_size(32)));
  typedef uint16_t U __attribute__((vector_size(32)));
  const C at = bits_as<C>(codes);
  const C bit4 = bits_as<C>(U(bits_as<U>(codes) << 3)), bit5 = bits_as<C>(U(bits_as<U>(codes) << 2));
  const auto quarter = [&](int i) FK_INLINE_LAMBDA { return C(__builtin_ia32_pshufb256(bits_as<C>(table[i]), at)); };
  const C lower = __builtin_ia32_pblendvb256(quarter(0), quarter(1), bit4);
  const C upper = __builtin_ia32_pblendvb256(quarter(2), quarter(3), bit4);
  return bits_as<Bytes>(C(__builtin_ia32_pblendvb256(lower, upper, bit5)));
}
FK_FN uint32_t less_bits(const Bytes& a, const Bytes& b) {
  typedef char C __attribute__((vector_size(32)));
  return static_cast<uint32_t>(__builtin_ia32_pmovmskb256(bits_as<C>(a < b)));
}
#endif

}  // namespace fk
