// fold_kernel.hpp: one method's fold for the instruction set its file is compiled for. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "cpu/fold.hpp"
#include "cpu/isa.hpp"

// A gram method has no fold of its own.
#define FK_METHOD(M)                                         \
  int64_t FK_KERNEL(fk_fold_##M)(const fk::FoldCall& call) { \
    if constexpr (fk::is_gram_method<fk::M>)                 \
      return call.n * 0;                                     \
    else                                                     \
      return fk::fold<fk::M, fk::Lanes<FK_WIDTH>::V>(call);  \
  }                                                          \
  static_assert(true)
