// trap.h: an access beyond a buffer ends the kernel instead of the process.
#pragma once
#include <string>

namespace emulator {

// While one lives, the process's handler of segmentation faults is the emulator's, on a stack of its own. What is not
// a kernel's access to inaccessible pages of the emulator goes to the handler from before. They may be nested.
class TrapHandler {
 public:
  TrapHandler();
  ~TrapHandler();
  TrapHandler(const TrapHandler&) = delete;
  TrapHandler& operator=(const TrapHandler&) = delete;
};

// Whether this host thread runs a kernel.
void set_trap(bool is_set);

// "reads ...", or nothing if no trap ended the kernel. Then it is forgotten.
std::string describe_trap();

}  // namespace emulator
