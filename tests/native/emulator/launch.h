// launch.h: what launches a kernel here, where g++ knows no syntax for it.
#pragma once
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "block.h"
#include "streams.h"

namespace emulator {

// Queues the kernel with a copy of its arguments. What is wrong is cudaGetLastError()'s to say.
void launch(const KernelCall& call, const void* arguments, size_t bytes, cudaStream_t stream);

template <class... Parameters>
void run_thread(void (*kernel)(), const void* arguments) {
  std::apply(reinterpret_cast<void (*)(Parameters...)>(kernel),
             *static_cast<const std::tuple<std::remove_const_t<Parameters>...>*>(arguments));
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "arguments of kernels are copied as bytes");
  using Copies = std::tuple<std::remove_const_t<Parameters>...>;
  static_assert(sizeof(Copies) <= 4096 && alignof(Copies) <= 64, "arguments of kernels are 4 KiB at most");
  const Copies copies(arguments...);
  launch({.grid = grid,
          .block = block,
          .shared_bytes = shared_bytes,
          .run = run_thread<Parameters...>,
          .kernel = reinterpret_cast<void (*)()>(kernel)},
         &copies, sizeof copies, stream);
}

}  // namespace emulator
