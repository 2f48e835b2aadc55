// limit.hpp: what a trimmed delta's magnitude is compared with, which changes at one element.
#pragma once
#include <cstdint>

namespace fk {

// What it must exceed: `before` up to element `last` of its tensor (or model), then `after`.
struct Limit {
  int64_t last, before, after;
};

}  // namespace fk
