// streams.cpp: the runtime's calls about streams and events.
#include "streams.h"

#include <algorithm>

#include "queue.h"
#include "runtime.h"
#include "trace.h"

namespace emulator {
namespace {

using Lock = std::lock_guard<std::mutex>;

// One that was destroyed, or a new one. The pool keeps all of them reachable.
template <class Handle>
Handle* make() {
  static auto& pool = *new std::vector<Handle*>;
  for (Handle* known : pool) {
    if (known->is_alive) continue;
    known->is_alive = true;
    return known;
  }
  return pool.emplace_back(new Handle);
}

cudaError_t on_current_device(cudaError_t error) { return remember(error, current_device()); }

bool is_known(const Event* event) { return event && event->is_alive; }

}  // namespace
}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Lock lock(runtime().mutex);
  if (flags > cudaStreamNonBlocking) return on_current_device(cudaErrorInvalidValue);
  if (const cudaError_t error = check_device(current_device()); error != cudaSuccess) return on_current_device(error);
  *stream = make<Stream>();
  (*stream)->device = current_device();
  (*stream)->is_blocking = flags == cudaStreamDefault;
  runtime().devices[current_device()].streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

// Its work is done first. A GPU does it too, some time.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(runtime().mutex);
  if (!stream || !stream->is_alive) return on_current_device(cudaErrorInvalidResourceHandle);
  const cudaError_t error = finish(*stream);
  std::erase(runtime().devices[stream->device].streams, stream);
  stream->is_alive = false;
  return remember(error, stream->device);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  const Lock lock(runtime().mutex);
  Stream* stream = find_stream(handle);
  if (!stream) return on_current_device(cudaErrorInvalidResourceHandle);
  trace("wait", stream, stream->device);
  if (!handle) finish_device(stream->device, true);
  return remember(finish(*stream), stream->device);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Lock lock(runtime().mutex);
  Stream* stream = find_stream(handle);
  if (!stream) return on_current_device(cudaErrorInvalidResourceHandle);
  return remember(advance(*stream, stream->queued()), stream->device);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  const Lock lock(runtime().mutex);
  if (!is_known(event)) return on_current_device(cudaErrorInvalidResourceHandle);
  if (!event->stream) return cudaSuccess;  // never recorded
  return on_current_device(submit(handle, WaitFor{event->stream, event->position}));
}

cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Lock lock(runtime().mutex);
  if (const cudaError_t error = check_device(current_device()); error != cudaSuccess) return on_current_device(error);
  *event = make<Event>();
  **event = {};
  (*event)->is_timed = !(flags & cudaEventDisableTiming);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(runtime().mutex);
  if (!is_known(event)) return on_current_device(cudaErrorInvalidResourceHandle);
  event->is_alive = false;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  const Lock lock(runtime().mutex);
  Stream* stream = find_stream(handle);
  if (!is_known(event) || !stream) return on_current_device(cudaErrorInvalidResourceHandle);
  event->stream = stream;
  event->position = stream->queued() + 1;
  return remember(submit(handle, Record{event, event->position}), stream->device);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Lock lock(runtime().mutex);
  if (!is_known(event)) return on_current_device(cudaErrorInvalidResourceHandle);
  if (!event->stream) return cudaSuccess;
  return remember(finish(*event->stream, event->position), event->stream->device);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(runtime().mutex);
  if (!is_known(event)) return on_current_device(cudaErrorInvalidResourceHandle);
  if (!event->stream) return cudaSuccess;
  return remember(advance(*event->stream, event->position), event->stream->device);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const Lock lock(runtime().mutex);
  for (const Event* event : {from, to})
    if (!is_known(event) || !event->stream || !event->is_timed)
      return on_current_device(cudaErrorInvalidResourceHandle);
  for (const Event* event : {from, to})
    if (event->stream->done < event->position) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const Lock lock(runtime().mutex);
  return on_current_device(finish_device(current_device(), false));
}
