// launch.cpp: a kernel into its stream's queue.
#include "launch.h"

#include "queue.h"
#include "runtime.h"

namespace emulator {

void launch(const KernelCall& call, const void* arguments, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  const Stream* known = find_stream(stream);
  remember(submit(stream, call, arguments, bytes), known ? known->device : current_device());
}

}  // namespace emulator
