// fold_kernel.hpp: one method's fold for the instruction set its file is compiled for. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "cpu/fold.hpp"
#include "cpu/isa.hpp"

#define FK_METHOD(M)                                                  \
  int64_t FK_KERNEL(fk_fold_##M)(const fk::FoldCall& call) {          \
    return fk::fold<fk::FoldOf<fk::M>, fk::Lanes<FK_WIDTH>::V>(call); \
  }                                                                   \
  static_assert(true)
