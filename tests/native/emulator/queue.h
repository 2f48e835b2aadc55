// queue.h: what is queued in a stream, and doing it.
#pragma once
#include <chrono>
#include <memory>
#include <variant>
#include <vector>

#include "block.h"
#include "errors.h"

namespace emulator {

struct Event;
struct Stream;

struct RunKernel {
  KernelCall call;
  size_t arguments, argument_bytes;  // where in the stream's `arguments`
};
struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  std::shared_ptr<std::byte[]> staged = {};  // what the source was, where it may change before the copy is made
};
struct Fill {
  void* to;
  int value;
  size_t bytes;
};
struct Record {
  Event* event;
  uint64_t position;
};
struct WaitFor {
  Stream* stream;
  uint64_t position;
};
struct Free {
  void* buffer;
};
using Work = std::variant<RunKernel, Copy, Fill, Record, WaitFor, Free>;

// Neither streams nor events are ever deleted: destroyed ones are used again, and what still waits for one finds it.
struct Stream {
  int device = 0;
  bool is_blocking = true;  // the null stream waits for it
  bool is_alive = true;
  uint64_t done = 0;  // pieces of work since it was first made
  std::vector<Work> queue;
  size_t next = 0;                   // in `queue`
  std::vector<std::byte> arguments;  // of the kernels in it
  uint64_t queued() const { return done + queue.size() - next; }
};

struct Event {
  bool is_alive = true, is_timed = true;
  Stream* stream = nullptr;  // that it was last recorded in, if it was
  uint64_t position = 0;     // it has happened when the stream has done so much
  std::chrono::steady_clock::time_point time;
};

// All of these: the runtime's lock is held.

// The null stream of the current device for nullptr, nullptr for one that was destroyed.
Stream* find_stream(Stream* handle);
// Adds work to a stream whose device can be used; the null stream does it at once.
cudaError_t submit(Stream* handle, const Work& work);
cudaError_t submit(Stream* handle, const KernelCall& call, const void* arguments, size_t bytes);

// Work until so much of the stream is done, and the error of a kernel that its device has met.
cudaError_t finish(Stream& stream, uint64_t position);
cudaError_t finish(Stream& stream);
// One piece of it.
cudaError_t advance(Stream& stream, uint64_t position);
// All streams of a device, or those alone that the null stream waits for.
cudaError_t finish_device(int device, bool only_blocking);

}  // namespace emulator
