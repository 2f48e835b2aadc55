// qualifiers.h: what CUDA's keywords mean to g++.
#pragma once
// Headers that write GCC's attribute of the name __noinline__ have to be read before it becomes a macro.
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))

// One block runs at a time, so that its shared variables can be the program's: as such they have AddressSanitizer's
// red zones round them, which thread_local ones have not. They keep what the last block left.
#define __shared__ static
