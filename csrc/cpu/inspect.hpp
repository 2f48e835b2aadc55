// inspect.hpp: a slow second look at a span of results, taken only where something overflowed or is not finite.
#pragma once
#include "cpu/fold.hpp"

namespace fk {

struct Inspection {
  int64_t created = 0;        // not finite although every input is
  int64_t inherited = 0;      // not finite, and so is an input
  int64_t saturated = 0;      // stored as +-448 in e4m3fn, which has no infinity
  int64_t first_created = 0;  // index in the span
};

// Whether a largest magnitude (as bits of the compute type) says that a second look is needed.
bool overflows(DType out_dtype, int64_t peak);

// `call` has been folded already, by `fold`.
Inspection inspect(const FoldCall& call, FoldFunction fold);

}  // namespace fk
