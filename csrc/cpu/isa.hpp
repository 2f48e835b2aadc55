// isa.hpp: one function per instruction set from one template, chosen at run time.
//
// FK_PER_ISA(table, Return, (parameters), function, (arguments)) defines `table`, an entry per instruction set, each
// entry compiled for it with function<V>(arguments) forced inline. The flags of the file stay those of any x86-64:
// otherwise the standard library's inline functions would come out encoded for a processor that may not be there.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "cpu/lanes.hpp"

#define FK_PRAGMA(x) _Pragma(#x)
#if defined(__x86_64__)
#define FK_TARGET(features) FK_PRAGMA(GCC push_options) FK_PRAGMA(GCC target(features))
#define FK_TARGET_END FK_PRAGMA(GCC pop_options)
#define FK_AVX2 "avx2,f16c,no-fma"
#define FK_AVX512 "avx512f,avx512bw,avx512vl,avx512dq,f16c,no-fma,prefer-vector-width=512"
#else
#define FK_TARGET(features)
#define FK_TARGET_END
#define FK_AVX2
#define FK_AVX512
#endif

#define FK_PER_ISA(TABLE, RETURN, PARAMETERS, FUNCTION, ARGUMENTS)                      \
  static RETURN TABLE##_scalar PARAMETERS { return FUNCTION<float> ARGUMENTS; }         \
  static RETURN TABLE##_base PARAMETERS { return FUNCTION<fk::Lanes<4>::V> ARGUMENTS; } \
  FK_TARGET(FK_AVX2)                                                                    \
  static RETURN TABLE##_avx2 PARAMETERS { return FUNCTION<fk::Lanes<8>::V> ARGUMENTS; } \
  FK_TARGET_END FK_TARGET(FK_AVX512) static RETURN TABLE##_avx512 PARAMETERS {          \
    return FUNCTION<fk::Lanes<16>::V> ARGUMENTS;                                        \
  }                                                                                     \
  FK_TARGET_END                                                                         \
  const fk::PerIsa<RETURN(*) PARAMETERS> TABLE = {TABLE##_scalar, TABLE##_base, TABLE##_avx2, TABLE##_avx512}

namespace fk {

enum class Isa { scalar, base, avx2, avx512 };
inline constexpr int kIsas = 4;
inline constexpr const char* kIsaNames[kIsas] = {"scalar", "base", "avx2", "avx512"};

template <class Function>
using PerIsa = std::array<Function, kIsas>;

inline bool supported(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  if (isa == Isa::avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("f16c");
  return true;
#else
  return isa == Isa::scalar || isa == Isa::base;
#endif
}

inline std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (int i = 0; i < kIsas; ++i)
    if (supported(static_cast<Isa>(i))) names.push_back(kIsaNames[i]);
  return names;
}

// The instruction set asked for by name, or the best this processor has when the name is empty.
inline Isa choose_isa(const std::string& name) {
  for (int i = kIsas - 1; i >= 0; --i) {
    const Isa isa = static_cast<Isa>(i);
    if (name.empty() ? supported(isa) : name == kIsaNames[i]) {
      if (!supported(isa)) throw Unsupported("instruction set '" + name + "' is not available on this processor");
      return isa;
    }
  }
  throw InvalidArgument("unknown instruction set '" + name + "'; known are scalar, base, avx2 and avx512");
}

}  // namespace fk
