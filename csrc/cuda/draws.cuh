// draws.cuh: the random draws of a block of eight elements (see core/draws.hpp), in one thread.
#pragma once
#include <cuda_runtime.h>

#include "core/draws.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {

struct EightDraws {
  uint32_t words[4];
  FK_FN uint32_t operator[](int j) const { return words[j / 2] >> (j % 2 * 16) & 0xffff; }
};

__device__ __forceinline__ EightDraws draw_eight(uint64_t key, uint64_t block) {
  uint32_t x0 = uint32_t(block), x1 = uint32_t(block >> 32), x2 = 0, x3 = 0;
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t(x0) * kPhiloxMultiplier0, p1 = uint64_t(x2) * kPhiloxMultiplier1;
    x0 = uint32_t(p1 >> 32) ^ x1 ^ k0;
    x2 = uint32_t(p0 >> 32) ^ x3 ^ k1;
    x1 = uint32_t(p1);
    x3 = uint32_t(p0);
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
  return {{x0, x1, x2, x3}};
}

// Bit j: whether element j is kept: its draw is below `below`, in [0, 65536].
__device__ __forceinline__ uint32_t keep_eight(uint64_t key, int64_t block, uint32_t below) {
  if (below == 0) return 0;
  if (below == 65536) return 0xff;
  const EightDraws draws = draw_eight(key, uint64_t(block));
  uint32_t bits = 0;
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) bits |= uint32_t(draws[j] < below) << j;
  return bits;
}

}  // namespace fk::cuda
