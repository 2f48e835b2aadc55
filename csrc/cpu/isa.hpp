// isa.hpp: the instruction sets a kernel is compiled for, one of them chosen at run time.
//
// A kernel's file is compiled once for each, with that instruction set's compiler flags and FK_ISA and FK_WIDTH defined
// (see CMakeLists.txt). Such a file emits nothing but its own functions: an inline function of the standard library
// compiled there could be picked by the linker for the whole program, and fault on an older processor. The build checks
// it.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "core/error.hpp"

#define FK_JOIN_(a, b) a##_##b
#define FK_JOIN(a, b) FK_JOIN_(a, b)
#define FK_KERNEL(name) FK_JOIN(name, FK_ISA)  // the name of a kernel in the file compiled for FK_ISA

// Declares a kernel's versions and defines the table to choose from.
#define FK_KERNEL_TABLE(name, Return, ...)                                                                           \
  Return name##_scalar(__VA_ARGS__), name##_base(__VA_ARGS__), name##_avx2(__VA_ARGS__), name##_avx512(__VA_ARGS__); \
  [[maybe_unused]] static const fk::PerIsa<Return (*)(__VA_ARGS__)> name = {name##_scalar, name##_base, name##_avx2, \
                                                                            name##_avx512}

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
