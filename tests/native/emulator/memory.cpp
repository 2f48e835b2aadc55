// memory.cpp: the runtime's calls about memory: whose it is, whether there is enough, copies.
#include "memory.h"

#include <cstring>
#include <map>
#include <new>

#include "guarded.h"
#include "queue.h"
#include "runtime.h"

namespace emulator {
namespace {

using Lock = std::lock_guard<std::mutex>;

struct HostMemory {
  size_t bytes;
  bool is_owned;  // allocated by the runtime, rather than registered with it
};
constexpr std::align_val_t kHostAlignment{4096};

std::map<const std::byte*, HostMemory>& host_memory() {
  static auto& all = *new std::map<const std::byte*, HostMemory>;
  return all;
}

// The pinned memory that an address lies in.
const std::pair<const std::byte* const, HostMemory>* find_host(const void* memory) {
  const auto* at = static_cast<const std::byte*>(memory);
  auto after = host_memory().upper_bound(at);
  if (after == host_memory().begin()) return nullptr;
  const auto& found = *std::prev(after);
  return at < found.first + found.second.bytes ? &found : nullptr;
}

cudaError_t on_current_device(cudaError_t error) { return remember(error, current_device()); }

// A buffer that begins at an address and has not been freed.
Buffer* buffer_at(const void* memory) {
  Buffer* buffer = find_buffer(memory);
  return buffer && !buffer->is_freed && buffer->begin == memory ? buffer : nullptr;
}

bool has_room(int device, size_t bytes) {
  const size_t used = runtime().devices[device].allocated, total = runtime().device_memory;
  return used <= total && bytes <= total - used;
}

cudaError_t allocate(void** memory, size_t bytes, int device) {
  if (const cudaError_t error = check_device(device); error != cudaSuccess) return error;
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  Buffer* buffer = has_room(device, bytes) ? make_buffer(bytes, device) : nullptr;
  if (!buffer) return cudaErrorMemoryAllocation;
  runtime().devices[device].allocated += bytes;
  *memory = buffer->begin;
  return cudaSuccess;
}

bool fits(cudaMemcpyKind kind, Place to, Place from) {
  if (to == Place::invalid || from == Place::invalid) return false;
  if (kind == cudaMemcpyDefault) return true;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (to == Place::device) == to_device && (from == Place::device) == from_device;
}

cudaError_t copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return check_device(current_device());
  if (!to || !from || !fits(kind, place_of(to, bytes), place_of(from, bytes))) return cudaErrorInvalidValue;
  Copy work{to, from, bytes};
  // From memory that is not pinned a copy to the device has left when the call returns, as on a GPU.
  if (place_of(to, bytes) == Place::device && place_of(from, bytes) == Place::host && !find_host(from)) {
    work.staged.reset(new std::byte[bytes]);
    std::memcpy(work.staged.get(), from, bytes);
  }
  return submit(stream, work);
}

cudaError_t fill(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return check_device(current_device());
  if (place_of(to, bytes) != Place::device) return cudaErrorInvalidValue;
  return submit(stream, Fill{to, value, bytes});
}

// For calls that wait: also what went wrong before or during them.
cudaError_t and_finished(cudaError_t error) { return error != cudaSuccess ? error : finish(*find_stream(nullptr)); }

}  // namespace

Place place_of(const void* memory, size_t bytes) {
  const auto* at = static_cast<const std::byte*>(memory);
  if (const Buffer* buffer = find_buffer(memory)) {
    const bool inside = !buffer->is_freed && at >= buffer->begin && at <= buffer->begin + buffer->bytes &&
                        bytes <= static_cast<size_t>(buffer->begin + buffer->bytes - at);
    return inside ? Place::device : Place::invalid;
  }
  const auto* pinned = find_host(memory);
  if (pinned && bytes > static_cast<size_t>(pinned->first + pinned->second.bytes - at)) return Place::invalid;
  return Place::host;
}

bool release(void* memory) {
  Buffer* buffer = buffer_at(memory);
  if (!buffer) {
    report("a buffer is freed twice: " + describe_address(memory));
    return false;
  }
  runtime().devices[buffer->device].allocated -= buffer->bytes;
  return free_buffer(*buffer);
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const Lock lock(runtime().mutex);
  return on_current_device(allocate(memory, bytes, current_device()));
}

cudaError_t cudaFree(void* memory) {
  const Lock lock(runtime().mutex);
  if (!memory) return on_current_device(check_device(current_device()));
  const Buffer* buffer = buffer_at(memory);
  if (!buffer) return on_current_device(cudaErrorInvalidValue);
  const int device = buffer->device;
  finish_device(device, false);
  if (!buffer_at(memory)) return remember(cudaErrorInvalidValue, device);  // a queued cudaFreeAsync() was first
  Device& owner = runtime().devices[device];
  if (!release(memory) && owner.failure == cudaSuccess) owner.failure = cudaErrorIllegalAddress;
  return remember(check_device(device), device);
}

// What the stream itself is about to free can be had again.
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t handle) {
  const Lock lock(runtime().mutex);
  Stream* stream = find_stream(handle);
  if (!stream) return on_current_device(cudaErrorInvalidResourceHandle);
  if (!has_room(stream->device, bytes)) finish(*stream);
  return remember(allocate(memory, bytes, stream->device), stream->device);
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t handle) {
  const Lock lock(runtime().mutex);
  if (!memory) return cudaSuccess;
  if (!buffer_at(memory)) return on_current_device(cudaErrorInvalidValue);
  Stream* stream = find_stream(handle);
  if (!stream) return on_current_device(cudaErrorInvalidResourceHandle);
  const cudaError_t error = submit(handle, Free{memory});
  if (error != cudaSuccess) {  // the device does nothing any more, or nothing yet: the memory is free all the same
    finish(*stream);
    release(memory);
  }
  return remember(error, stream->device);
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  const Lock lock(runtime().mutex);
  if (const cudaError_t error = check_device(current_device()); error != cudaSuccess) return on_current_device(error);
  *memory = bytes > 0 ? ::operator new(bytes, kHostAlignment, std::nothrow) : nullptr;
  if (bytes > 0 && !*memory) return on_current_device(cudaErrorMemoryAllocation);
  if (bytes > 0) host_memory()[static_cast<std::byte*>(*memory)] = {bytes, true};
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, size_t bytes, unsigned flags) { return cudaHostAlloc(memory, bytes, flags); }

cudaError_t cudaFreeHost(void* memory) {
  const Lock lock(runtime().mutex);
  if (!memory) return cudaSuccess;
  const auto found = host_memory().find(static_cast<std::byte*>(memory));
  if (found == host_memory().end() || !found->second.is_owned) return on_current_device(cudaErrorInvalidValue);
  for (int device = 0; device < runtime().device_count; ++device) finish_device(device, false);
  host_memory().erase(found);
  ::operator delete(memory, kHostAlignment);
  return on_current_device(check_device(current_device()));
}

cudaError_t cudaHostRegister(void* memory, size_t bytes, unsigned) {
  const Lock lock(runtime().mutex);
  if (const cudaError_t error = check_device(current_device()); error != cudaSuccess) return on_current_device(error);
  if (!memory || bytes == 0) return on_current_device(cudaErrorInvalidValue);
  if (find_host(memory)) return on_current_device(cudaErrorHostMemoryAlreadyRegistered);
  host_memory()[static_cast<std::byte*>(memory)] = {bytes, false};
  return cudaSuccess;
}

cudaError_t cudaHostUnregister(void* memory) {
  const Lock lock(runtime().mutex);
  const auto found = host_memory().find(static_cast<std::byte*>(memory));
  if (found == host_memory().end() || found->second.is_owned)
    return on_current_device(cudaErrorHostMemoryNotRegistered);
  host_memory().erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const Lock lock(runtime().mutex);
  return on_current_device(and_finished(copy(to, from, bytes, kind, nullptr)));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Lock lock(runtime().mutex);
  return on_current_device(copy(to, from, bytes, kind, stream));
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  const Lock lock(runtime().mutex);
  return on_current_device(and_finished(fill(to, value, bytes, nullptr)));
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const Lock lock(runtime().mutex);
  return on_current_device(fill(to, value, bytes, stream));
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  const Lock lock(runtime().mutex);
  auto* pointer = const_cast<void*>(memory);
  const Buffer* buffer = find_buffer(memory);
  if (buffer && place_of(memory, 1) == Place::device)
    *attributes = {cudaMemoryTypeDevice, buffer->device, pointer, nullptr};
  else if (find_host(memory))
    *attributes = {cudaMemoryTypeHost, current_device(), pointer, pointer};
  else
    *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, pointer};
  return cudaSuccess;
}
