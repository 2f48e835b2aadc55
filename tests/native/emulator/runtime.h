// runtime.h: what the runtime's calls share: the lock, the devices, the faults to come.
#pragma once
#include <mutex>
#include <vector>

#include "block.h"
#include "errors.h"

namespace emulator {

struct Stream;

inline constexpr int kMaxDevices = 8;
inline constexpr size_t kDefaultMemory = size_t{1} << 30;

struct Device {
  Stream* null_stream = nullptr;
  std::vector<Stream*> streams;       // without the null stream, as they were made
  cudaError_t failure = cudaSuccess;  // of a kernel, until cudaGetLastError() has said so
  bool is_lost = false;
  size_t allocated = 0;
};

struct Runtime {
  std::mutex mutex;
  Device devices[kMaxDevices];
  int device_count = 2;
  size_t device_memory = kDefaultMemory;
  Order order = Order::forward;
  uint64_t seed = 0, kernels = 0;         // run since the order was set: each has another random one
  int64_t launches = 0, lost_launch = 0;  // counted from 1; 0: none will be
  std::string report;
};

Runtime& runtime();

// The host thread's.
int current_device();

void forget_last_error();

// Why a device cannot be used now: there is none, it is lost, or a kernel on it failed.
cudaError_t check_device(int device);

}  // namespace emulator
