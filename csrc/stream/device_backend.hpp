// device_backend.hpp: what a GPU backend offers the engine, which is compiled without one.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/limit.hpp"
#include "statistics/selector.hpp"
#include "stream/job.hpp"

namespace fk {

// What passes before have found out about a tensor, so that the device need not.
struct TensorFacts {
  std::vector<Limit> above, ceiling;  // of each model; empty: nothing is trimmed
  std::vector<double> factors;        // of each model; empty: nothing is rescaled by its norms, or they are unknown
  std::span<const std::byte> weights = {};  // of a gram method: T[models][vectors]; empty: unknown
};

// A stretch of an output tensor. Around the elements that are asked for, data may go on to make rows complete.
struct TensorPart {
  int64_t first, n;          // of the data: elements of the tensor
  int64_t own_first, own_n;  // of what is asked for
  const TensorFacts* facts;  // null: none
};

// An output tensor whose inputs and place lie in the device's memory.
struct ResidentTensor {
  const Job* job;
  const void* base;  // null where there is none
  std::vector<const void*> inputs;
  void* out;
  const TensorPart* part = nullptr;  // null: the whole tensor, of which nothing is known

  int64_t first() const { return part ? part->first : 0; }
  int64_t units() const { return part ? part->n : job->units(); }
  int64_t rows() const { return part && job->cols > 0 ? part->n / job->cols : job->rows; }
  const TensorFacts* facts() const { return part ? part->facts : nullptr; }
};

// A cut through one model's deltas that the host looks for: what its present pass asks of a tile.
struct ScanRequest {
  int model;
  const Selector* selector;
};
struct ScanAnswer {
  int64_t above, collected, equal[Selector::kHeavy];
  int64_t capacity;     // of collected entries no more than these were kept
  int64_t index;        // of the element to be pinpointed; -1: there is none
  const char* entries;  // in the device's memory: uint64_t[collected]
  const uint64_t* bins;
};

struct DeviceInfo {
  std::string name;
  int64_t memory;  // bytes
};

// A queue of a device with memory of its own, for one thread. Everything it is asked for is done in order, later;
// `workspace` is its memory too, and what goes to the host is there after wait().
class DeviceLane {
 public:
  virtual ~DeviceLane() = default;
  // At least so many bytes, whose contents are lost. Throws DeviceError if the device has not got them.
  virtual char* reserve(int64_t bytes) = 0;
  virtual void upload(char* to, const char* from, int64_t bytes) = 0;  // `from` must stay until wait()
  virtual void download(char* to, const char* from, int64_t bytes) = 0;
  // Returns through `peaks` the largest magnitude of each result, as bits of the compute type.
  virtual void merge(const MergeCall&, const std::vector<ResidentTensor>&, char* workspace, int64_t* peaks) = 0;
  // A tile's sums, by blocks and tree: the dot products of its models; L1 norms of each model, of all and of the kept.
  virtual void sum_products(const MergeCall&, const ResidentTensor&, char* workspace, double* products) = 0;
  virtual void sum_masses(const MergeCall&, const ResidentTensor&, char* workspace, double* masses) = 0;
  // Adds the dot products of a tile's columns to `sums`, [pairs][columns].
  virtual void add_columns(const MergeCall&, const ResidentTensor&, char* workspace, double* sums) = 0;
  // `found` takes scan_bytes(requests) bytes, and scan_answer() reads them.
  virtual void scan(const MergeCall&, const ResidentTensor&, const std::vector<ScanRequest>&, char* workspace,
                    char* found) = 0;
  virtual void wait() = 0;
};

struct DeviceBackend {
  const char* kind;                      // "cuda", or "emulated"
  std::vector<DeviceInfo> (*devices)();  // throws DeviceError, saying why there are none
  int64_t (*free_memory)(int device);    // bytes
  int64_t (*workspace_bytes)(const MergeCall&, const std::vector<ResidentTensor>&);
  // Of any pass over a part of a tensor.
  int64_t (*part_workspace_bytes)(const MergeCall&, const ResidentTensor&);
  int64_t (*scan_bytes)(int requests);
  ScanAnswer (*scan_answer)(const char* found, int request, int requests, int64_t units);
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
