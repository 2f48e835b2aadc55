// reduce.hpp: dot products of the models over a span, in the one order of summation every backend keeps.
//
// The products of fp32 values are exact in double. Blocks of 4096 elements from the tensor's start are summed in 64
// fixed lanes (lane l takes elements l, l + 64, ...), the lanes by halves, the blocks by a pairwise tree over their
// numbers.
#pragma once
#include "core/dtype.hpp"
#include "core/summation.hpp"
#include "cpu/isa.hpp"

namespace fk {

struct GramCall {
  const void* const* models;
  const DType* dtypes;
  int count;
  const void* base;  // null: the models' own values, else their deltas
  DType base_dtype;
  int64_t n;      // from the start of a block, at most to its end
  void* scratch;  // gram_scratch_bytes(count)
  double* sums;   // pair_count(count), the upper triangle row by row
};
constexpr int64_t gram_scratch_bytes(int count) {
  return (count + 1) * 512 * int64_t(sizeof(double)) + pair_count(count) * 64 * int64_t(sizeof(double));
}

void gram_block(const GramCall& call, bool f64, Isa isa);

}  // namespace fk
