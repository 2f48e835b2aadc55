// execution.hpp: what single operations work on, and how their work is spread over the cores.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <new>

#include "core/dtype.hpp"
#include "cpu/isa.hpp"

namespace fk::ops {

// A contiguous tensor of floats; how many is said beside it.
struct Tensor {
  const void* data;
  DType dtype;
  const void* at(int64_t i) const { return static_cast<const char*>(data) + i * size_of(dtype); }
};

// Rows that are treated one by one; a tensor that is treated as a whole is one row.
struct Rows {
  int64_t count, length;
  int64_t elements() const { return count * length; }
};

struct Execution {
  Isa isa;
  int threads;  // at least 1
};

inline constexpr int64_t kTile = 16 * 4096;  // elements a thread takes at a time: whole blocks of sums, a power of two

// Calls work(unit, worker) for each unit, worker by worker from 0 on, with the floating-point environment the engine
// promises. `elements` says how much there is to do: threads that would have little are not started.
void for_each_unit(int64_t units, int64_t elements, int threads, const std::function<void(int64_t, int)>& work);

// Calls work(first, n, worker) for each tile of so many elements.
void for_each_tile(int64_t elements, int threads, const std::function<void(int64_t, int64_t, int)>& work);

// Memory for kernels, which read their widest registers from it.
struct FreeScratch {
  void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};
using Scratch = std::unique_ptr<std::byte, FreeScratch>;
inline Scratch make_scratch(int64_t bytes) {
  return Scratch(static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes), std::align_val_t{64})));
}

}  // namespace fk::ops
