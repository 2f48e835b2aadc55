// trace.h: what the host asked of its streams, in the order it asked, for tests of what overlaps.
#pragma once
#include <cstddef>

namespace emulator {

// A line "what device stream bytes", if somebody listens. The runtime's lock is held.
void trace(const char* what, const void* stream, int device, size_t bytes = 0);

}  // namespace emulator
