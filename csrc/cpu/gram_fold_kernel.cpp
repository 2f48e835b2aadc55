// gram_fold_kernel.cpp: the weighted sums of gram methods, for the instruction set this file is compiled for.
#include "core/gram_fold.hpp"
#include "cpu/fold.hpp"
#include "cpu/isa.hpp"

int64_t FK_KERNEL(fk_gram_sum)(const fk::FoldCall& call) { return fk::fold<fk::GramSum, fk::Lanes<FK_WIDTH>::V>(call); }
int64_t FK_KERNEL(fk_gram_delta_sum)(const fk::FoldCall& call) {
  return fk::fold<fk::GramDeltaSum, fk::Lanes<FK_WIDTH>::V>(call);
}
