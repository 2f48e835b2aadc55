// block.h: the indices and barriers a kernel sees, the order its threads run in, and what runs a grid.
#pragma once
#include <cstddef>
#include <cstdint>

#include "errors.h"
#include "vector_types.h"

// Of the thread that runs. Not thread_local: one kernel runs at a time.
inline uint3 threadIdx{}, blockIdx{};
inline dim3 blockDim, gridDim;

namespace emulator {

// The order in which the threads of a block run until they wait, and the blocks of a grid one after the other, and the
// streams of a device in a cudaDeviceSynchronize(): where the result depends on it, something is not synchronised.
enum class Order { forward, reverse, random };

enum class Barrier : uint8_t { plain, any, all, count };
const char* name_of(Barrier barrier);

// Waits for all threads of the block; in how many of them `predicate` was true.
unsigned wait_for_block(Barrier barrier, bool predicate);

struct KernelCall {
  dim3 grid, block;
  size_t shared_bytes;
  void (*run)(void (*kernel)(), const void* arguments);
  void (*kernel)();
};

// What is wrong with the sizes of a launch.
cudaError_t check_sizes(const KernelCall& call);

// Runs every block. What goes wrong in one ends the grid, and report() says what it was.
cudaError_t run_grid(const KernelCall& call, const void* arguments, Order order, uint64_t seed);

// The memory that a GPU's kernel declares as `extern __shared__`: shared_bytes of it, an inaccessible page behind.
void* dynamic_shared();

}  // namespace emulator

inline void __syncthreads() { emulator::wait_for_block(emulator::Barrier::plain, false); }
inline int __syncthreads_or(int predicate) {
  return emulator::wait_for_block(emulator::Barrier::any, predicate != 0) != 0;
}
inline int __syncthreads_and(int predicate) {
  return emulator::wait_for_block(emulator::Barrier::all, predicate != 0) == blockDim.x * blockDim.y * blockDim.z;
}
inline int __syncthreads_count(int predicate) {
  return static_cast<int>(emulator::wait_for_block(emulator::Barrier::count, predicate != 0));
}
