// device.cpp: the devices that are emulated, and what a test does to them.
#include "device.h"

#include <algorithm>
#include <cstring>

#include "controls.h"
#include "guarded.h"
#include "runtime.h"

namespace emulator {

namespace {

constexpr int kSharedBytes = 48 * 1024, kMostSharedBytes = 227 * 1024, kThreads = 1024, kResidentThreads = 2048;
constexpr int kMajor = 9, kMinor = 0, kMultiprocessors = 4;

thread_local int the_current_device = 0;

bool exists(int device) { return device >= 0 && device < runtime().device_count; }

}  // namespace

// Never destroyed: a program may call the runtime while it ends.
Runtime& runtime() {
  static Runtime& the_runtime = *new Runtime;
  return the_runtime;
}

int current_device() { return the_current_device; }

cudaError_t check_device(int device) {
  if (runtime().device_count == 0) return cudaErrorNoDevice;
  if (!exists(device)) return cudaErrorInvalidDevice;
  const Device& state = runtime().devices[device];
  return state.is_lost ? cudaErrorDeviceUnavailable : state.failure;
}

void set_order(Order order, uint64_t seed) {
  const std::lock_guard lock(runtime().mutex);
  runtime().order = order;
  runtime().seed = seed;
  runtime().kernels = 0;  // the same seed, the same orders
}

void set_device_count(int count) {
  const std::lock_guard lock(runtime().mutex);
  runtime().device_count = std::clamp(count, 0, kMaxDevices);
}

void set_device_memory(size_t bytes) {
  const std::lock_guard lock(runtime().mutex);
  runtime().device_memory = bytes;
}

void lose_device_after(int64_t launches) {
  const std::lock_guard lock(runtime().mutex);
  runtime().lost_launch = runtime().launches + launches;
}

void reset() {
  Runtime& shared = runtime();
  const std::lock_guard lock(shared.mutex);
  for (Device& device : shared.devices) {
    device.failure = cudaSuccess;
    device.is_lost = false;
  }
  shared.device_count = 2;
  shared.device_memory = kDefaultMemory;
  shared.order = Order::forward;
  shared.seed = 0;
  shared.lost_launch = 0;
  shared.report.clear();
  forget_last_error();
}

std::string last_report() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().report;
}

int64_t launches() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().launches;
}

size_t live_buffers() {
  const std::lock_guard lock(runtime().mutex);
  return count_buffers();
}

size_t allocated_bytes() {
  const std::lock_guard lock(runtime().mutex);
  size_t bytes = 0;
  for (const Device& device : runtime().devices) bytes += device.allocated;
  return bytes;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  const std::lock_guard lock(runtime().mutex);
  *count = runtime().device_count;
  return remember(*count > 0 ? cudaSuccess : cudaErrorNoDevice, 0);
}

cudaError_t cudaSetDevice(int device) {
  const std::lock_guard lock(runtime().mutex);
  if (!exists(device)) return remember(runtime().device_count > 0 ? cudaErrorInvalidDevice : cudaErrorNoDevice, 0);
  the_current_device = device;
  return remember(runtime().devices[device].is_lost ? cudaErrorDeviceUnavailable : cudaSuccess, device);
}

cudaError_t cudaGetDevice(int* device) {
  *device = the_current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const std::lock_guard lock(runtime().mutex);
  if (!exists(device)) return remember(cudaErrorInvalidDevice, 0);
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->totalGlobalMem = runtime().device_memory;
  properties->sharedMemPerBlock = kSharedBytes;
  properties->sharedMemPerBlockOptin = properties->sharedMemPerMultiprocessor = kMostSharedBytes;
  properties->major = kMajor;
  properties->minor = kMinor;
  properties->multiProcessorCount = kMultiprocessors;
  properties->maxThreadsPerBlock = kThreads;
  properties->maxThreadsPerMultiProcessor = kResidentThreads;
  properties->warpSize = 32;
  properties->regsPerBlock = 65536;
  properties->l2CacheSize = 1 << 20;
  properties->asyncEngineCount = 2;
  properties->concurrentKernels = properties->canMapHostMemory = properties->unifiedAddressing = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const std::lock_guard lock(runtime().mutex);
  if (!exists(device)) return remember(cudaErrorInvalidDevice, 0);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kThreads;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedBytes;
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = 32;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = kMultiprocessors;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = kResidentThreads;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = kMajor;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = kMinor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kMostSharedBytes;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      return cudaSuccess;
  }
  return remember(cudaErrorInvalidValue, device);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard lock(runtime().mutex);
  const int device = current_device();
  if (const cudaError_t error = check_device(device); error != cudaSuccess) return remember(error, device);
  const size_t used = runtime().devices[device].allocated;
  *total = runtime().device_memory;
  *free = *total - std::min(used, *total);
  return cudaSuccess;
}
