// device_backend.hpp: what a GPU backend offers the engine, which is compiled without one.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "stream/job.hpp"

namespace fk {

// An output tensor whose inputs and place lie in the device's memory.
struct ResidentTensor {
  const Job* job;
  const void* base;  // null where there is none
  std::vector<const void*> inputs;
  void* out;
};

struct DeviceInfo {
  std::string name;
  int64_t memory;  // bytes
};

// A queue of a device with memory of its own, for one thread. Everything it is asked for is done in order, later.
class DeviceLane {
 public:
  virtual ~DeviceLane() = default;
  // At least so many bytes, whose contents are lost; null if the device has not got them.
  virtual char* reserve(int64_t bytes) = 0;
  virtual void upload(char* to, const char* from, int64_t bytes) = 0;  // `from` must stay until wait()
  virtual void download(char* to, const char* from, int64_t bytes) = 0;
  // Returns through `peaks`, at the next wait(), the largest magnitude of each result, as bits of the compute type.
  virtual void merge(const MergeCall&, const std::vector<ResidentTensor>&, char* workspace, int64_t* peaks) = 0;
  virtual void wait() = 0;
};

struct DeviceBackend {
  const char* kind;                      // "cuda", or "emulated"
  std::vector<DeviceInfo> (*devices)();  // throws DeviceError, saying why there are none
  int64_t (*workspace_bytes)(const MergeCall&, const std::vector<ResidentTensor>&);
  // Enqueues everything on `stream` (0: the default one) and returns. Fold methods do not wait for the device; gram
  // methods do, once, for their dot products. `workspace` is device memory that stays untouched until the stream has
  // done all. What would not be finite is not looked for.
  void (*merge)(const MergeCall&, const std::vector<ResidentTensor>&, int device, uintptr_t stream, char* workspace);
  std::unique_ptr<DeviceLane> (*open_lane)(int device);
  // Memory of a device, and blocking copies to and from it.
  char* (*allocate)(int device, int64_t bytes);
  void (*release)(int device, char* memory);
  void (*copy_in)(int device, char* to, const char* from, int64_t bytes);
  void (*copy_out)(int device, char* to, const char* from, int64_t bytes);
  // Host memory that is copied from and to while the processor goes on. Where it cannot be had, copies are slower.
  void (*pin)(char* memory, int64_t bytes);
  void (*unpin)(char* memory);
};

const DeviceBackend* device_backend();  // null: this build has none

}  // namespace fk
