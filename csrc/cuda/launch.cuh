// launch.cuh: the only place a kernel is launched, on the device or the emulated one, and with how many blocks.
#pragma once
#include "cuda/check.hpp"
#include "cuda/kernels.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {

// As many blocks as there are chunks, but no more than keep every processor busy: a block takes several chunks then.
inline unsigned blocks_for(int64_t chunks, const Queue& queue) {
  const int64_t most = int64_t(queue.processors) * kBlocksPerProcessor;
  return unsigned(chunks < 1 ? 1 : chunks < most ? chunks : most);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, Arguments... arguments) {
#if defined(__CUDACC__)
  kernel<<<grid, block, 0, stream>>>(arguments...);
#else
  emulator::launch(kernel, grid, block, 0, stream, arguments...);
#endif
  check(cudaGetLastError(), "launch a kernel");
}

}  // namespace fk::cuda
