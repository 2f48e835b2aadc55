// queue.cpp: the work of streams, done when somebody waits for it.
#include "queue.h"

#include <cstring>

#include "guarded.h"
#include "memory.h"
#include "runtime.h"
#include "trace.h"
#include "trap.h"

namespace emulator {
namespace {

constexpr size_t kMaxArgumentBytes = 4096;

// A device that is lost, or has a failure that nobody has read, does nothing but take memory back.
class Worker {
 public:
  explicit Worker(Stream& stream) : stream_(stream), device_(runtime().devices[stream.device]) {}

  void operator()(const RunKernel& work) {
    if (!can_work()) return;
    alignas(64) static std::byte arguments[kMaxArgumentBytes];
    std::memcpy(arguments, stream_.arguments.data() + work.arguments, work.argument_bytes);
    device_.failure = run_grid(work.call, arguments, runtime().order, runtime().seed + runtime().kernels++);
    if (device_.failure == cudaSuccess && !check_margins(stream_.device)) device_.failure = cudaErrorIllegalAddress;
  }

  void operator()(const Copy& work) {
    if (!can_work() || !check(work.to, work.bytes)) return;
    if (!work.staged && !check(work.from, work.bytes)) return;
    std::memmove(work.to, work.staged ? work.staged.get() : work.from, work.bytes);
  }

  void operator()(const Fill& work) {
    if (can_work() && check(work.to, work.bytes)) std::memset(work.to, work.value, work.bytes);
  }

  void operator()(const Record& work) {
    const bool is_latest = work.event->stream == &stream_ && work.event->position == work.position;
    if (is_latest) work.event->time = std::chrono::steady_clock::now();
  }

  void operator()(const WaitFor& work) { finish(*work.stream, work.position); }

  void operator()(const Free& work) {
    const bool is_whole = release(work.buffer);
    if (!is_whole && can_work()) device_.failure = cudaErrorIllegalAddress;
  }

 private:
  bool can_work() const { return !device_.is_lost && device_.failure == cudaSuccess; }

  // The buffer was there when the work was queued.
  bool check(const void* memory, size_t bytes) {
    if (place_of(memory, bytes) != Place::invalid) return true;
    report("a queued copy reaches " + describe_address(memory));
    device_.failure = cudaErrorIllegalAddress;
    return false;
  }

  Stream& stream_;
  Device& device_;
};

void do_next(Stream& stream) {
  const Work work = stream.queue[stream.next++];
  std::visit(Worker(stream), work);
  ++stream.done;
  if (stream.next < stream.queue.size()) return;
  stream.queue.clear();
  stream.arguments.clear();
  stream.next = 0;
}

}  // namespace

Stream* find_stream(Stream* handle) {
  if (handle) return handle->is_alive ? handle : nullptr;
  Stream*& null_stream = runtime().devices[current_device()].null_stream;
  if (!null_stream) {
    null_stream = new Stream;
    null_stream->device = current_device();
  }
  return null_stream;
}

cudaError_t submit(Stream* handle, const Work& work) {
  Stream* stream = find_stream(handle);
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (const cudaError_t error = check_device(stream->device); error != cudaSuccess) return error;
  if (const auto* copy = std::get_if<Copy>(&work))
    trace(place_of(copy->to, copy->bytes) == Place::device ? "in" : "out", stream, stream->device, copy->bytes);
  if (std::holds_alternative<RunKernel>(work)) trace("kernel", stream, stream->device);
  stream->queue.push_back(work);
  if (handle) return cudaSuccess;
  finish_device(stream->device, true);
  finish(*stream);  // what fails in it is the next call's error, as on a GPU
  return cudaSuccess;
}

cudaError_t submit(Stream* handle, const KernelCall& call, const void* arguments, size_t bytes) {
  if (const cudaError_t error = check_sizes(call); error != cudaSuccess) return error;
  Stream* stream = find_stream(handle);
  if (!stream || stream->device != current_device()) return cudaErrorInvalidResourceHandle;
  if (const cudaError_t error = check_device(stream->device); error != cudaSuccess) return error;
  if (++runtime().launches == runtime().lost_launch) runtime().devices[stream->device].is_lost = true;
  if (runtime().devices[stream->device].is_lost) return cudaErrorDeviceUnavailable;
  const size_t at = stream->arguments.size();
  const auto* first = static_cast<const std::byte*>(arguments);
  stream->arguments.insert(stream->arguments.end(), first, first + bytes);
  return submit(handle, RunKernel{call, at, bytes});
}

cudaError_t finish(Stream& stream, uint64_t position) {
  if (stream.done < position) {
    const TrapHandler handler;
    while (stream.done < position) do_next(stream);
  }
  return check_device(stream.device);
}

cudaError_t finish(Stream& stream) { return finish(stream, stream.queued()); }

cudaError_t advance(Stream& stream, uint64_t position) {
  if (stream.done < position) {
    const TrapHandler handler;
    do_next(stream);
  }
  const cudaError_t error = check_device(stream.device);
  return error == cudaSuccess && stream.done < position ? cudaErrorNotReady : error;
}

cudaError_t finish_device(int device, bool only_blocking) {
  const Device& state = runtime().devices[device];
  const size_t count = state.streams.size();
  for (size_t i = 0; i < count; ++i) {
    size_t place = i;
    if (runtime().order == Order::reverse) place = count - 1 - i;
    if (runtime().order == Order::random) place = (i + runtime().seed) % count;
    if (Stream& stream = *state.streams[place]; stream.is_blocking || !only_blocking) finish(stream);
  }
  return check_device(device);
}

}  // namespace emulator
