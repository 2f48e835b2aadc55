// summation.hpp: the one order in which every backend sums over a tensor.
//
// Blocks of 4096 elements from the vector's start are summed in double in 64 fixed lanes (lane l takes elements l,
// l + 64, ...), the lanes by halves, the blocks by a pairwise tree over their numbers.
#pragma once
#include <cstdint>

namespace fk {

inline constexpr int64_t kSumBlock = 4096;
inline constexpr int kSumLanes = 64;
constexpr int pair_count(int count) { return count * (count + 1) / 2; }  // of models, each with itself too

}  // namespace fk
