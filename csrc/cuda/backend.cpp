// backend.cpp: the GPU backend as the engine sees it.
#include <algorithm>

#include "core/summation.hpp"
#include "cuda/device.hpp"
#include "cuda/fold_merge.hpp"
#include "cuda/gram_merge.hpp"
#include "cuda/peaks.hpp"
#include "cuda/tile_scan.hpp"
#include "stream/device_backend.hpp"

namespace fk {
namespace cuda {
namespace {

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> found;
  for (int device = 0, count = device_count(); device < count; ++device) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "describe a GPU");
    found.push_back({properties.name, static_cast<int64_t>(properties.totalGlobalMem)});
  }
  return found;
}

// Calls use(merge, peaks): the passes, described in `memory`, and where the largest magnitudes will be.
template <class Use>
void with_merge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, Memory& memory, Use&& use) {
  const Peaks peaks(tensors, memory);
  if (call.method->is_gram)
    use(GramMerge(call, tensors, peaks, memory), peaks);
  else
    use(FoldMerge(call, tensors, peaks, memory), peaks);
}

Memory::Sizes measure(const MergeCall& call, const std::vector<ResidentTensor>& tensors) {
  Memory memory;
  with_merge(call, tensors, memory, [](auto&&, const Peaks&) {});
  return memory.used();
}

int64_t workspace_bytes(const MergeCall& call, const std::vector<ResidentTensor>& tensors) {
  return measure(call, tensors).total();
}

// Of the passes that the engine makes over parts: a method has few of them.
int64_t part_workspace_bytes(const MergeCall& call, const ResidentTensor& tensor) {
  int64_t bytes = workspace_bytes(call, {tensor});
  if (trims(call.method->sparsifier)) {
    const std::vector<ScanRequest> requests(static_cast<size_t>(2 * tensor.job->count()));
    Memory memory;
    TileScan(call, tensor, requests, memory);
    bytes = std::max(bytes, memory.used().total());
  }
  return bytes;
}

void enqueue(const MergeCall& call, const std::vector<ResidentTensor>& tensors, const Queue& queue, char* workspace,
             int64_t* found_peaks) {
  Memory memory(workspace, measure(call, tensors));
  with_merge(call, tensors, memory, [&](auto&& merge, const Peaks& peaks) {
    memory.send(queue);
    memory.clear(queue);
    merge.run(queue);
    if (found_peaks) peaks.fetch(found_peaks, queue);
  });
}

void merge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, int device, uintptr_t stream,
           char* workspace) {
  const OnDevice chosen(device);
  enqueue(call, tensors, queue_on(device, stream), workspace, nullptr);
}

class Lane : public DeviceLane {
 public:
  explicit Lane(int device) : device_(device) {
    const OnDevice chosen(device_);
    cudaStream_t stream;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "open a stream");
    queue_ = queue_on(device_, reinterpret_cast<uintptr_t>(stream));
  }
  ~Lane() override {
    cudaStreamSynchronize(queue_.stream);  // whatever failed before fails again here
    cudaFree(memory_);
    cudaStreamDestroy(queue_.stream);
    cudaGetLastError();
  }

  char* reserve(int64_t bytes) override {
    if (bytes <= bytes_) return memory_;
    const OnDevice chosen(device_);
    wait();
    check(cudaFree(memory_), "free device memory");
    memory_ = nullptr;
    bytes_ = 0;
    void* found = nullptr;
    const cudaError_t error = cudaMalloc(&found, static_cast<size_t>(bytes));
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw DeviceError("GPU " + std::to_string(device_) + " is out of memory: it has not got the " +
                        std::to_string(bytes) + " bytes that a part of the merge takes; give a smaller " +
                        "device_memory_limit");
    }
    check(error, "allocate device memory");
    memory_ = static_cast<char*>(found);
    bytes_ = bytes;
    return memory_;
  }
  void upload(char* to, const char* from, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, queue_.stream),
          "copy to the device");
  }
  void download(char* to, const char* from, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, queue_.stream),
          "copy from the device");
  }
  void merge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, char* workspace,
             int64_t* peaks) override {
    const OnDevice chosen(device_);
    enqueue(call, tensors, queue_, workspace, peaks);
  }
  void sum_products(const MergeCall& call, const ResidentTensor& tensor, char* workspace, double* products) override {
    with_part<GramMerge>(call, tensor, workspace, [&](GramMerge& merge) {
      merge.sum(queue_);
      fetch(products, merge.products(), pair_count(tensor.job->count()));
    });
  }
  void sum_masses(const MergeCall& call, const ResidentTensor& tensor, char* workspace, double* masses) override {
    with_part<FoldMerge>(call, tensor, workspace, [&](FoldMerge& merge) {
      merge.sum_masses(queue_);
      fetch(masses, merge.masses(), 2 * tensor.job->count());
    });
  }
  void add_columns(const MergeCall& call, const ResidentTensor& tensor, char* workspace, double* sums) override {
    with_part<GramMerge>(call, tensor, workspace, [&](GramMerge& merge) { merge.add_columns(sums, queue_); });
  }
  void scan(const MergeCall& call, const ResidentTensor& tensor, const std::vector<ScanRequest>& requests,
            char* workspace, char* found) override {
    const OnDevice chosen(device_);
    Memory measured;
    TileScan(call, tensor, requests, measured);
    Memory memory(workspace, measured.used());
    TileScan scan(call, tensor, requests, memory);
    memory.send(queue_);
    memory.clear(queue_);
    scan.run(queue_, found);
  }
  void wait() override { check(cudaStreamSynchronize(queue_.stream), "wait for the device"); }

 private:
  // Calls use(merge): the passes over one tensor's part, described in `workspace`.
  template <class Merge, class Use>
  void with_part(const MergeCall& call, const ResidentTensor& tensor, char* workspace, Use&& use) {
    const OnDevice chosen(device_);
    const std::vector<ResidentTensor> tensors{tensor};
    Memory memory(workspace, measure(call, tensors));
    const Peaks peaks(tensors, memory);
    Merge merge(call, tensors, peaks, memory);
    memory.send(queue_);
    memory.clear(queue_);
    use(merge);
  }
  void fetch(double* to, const double* from, int64_t count) {
    download(reinterpret_cast<char*>(to), reinterpret_cast<const char*>(from),
             count * static_cast<int64_t>(sizeof(double)));
  }

  int device_;
  Queue queue_{};
  char* memory_ = nullptr;
  int64_t bytes_ = 0;
};

int64_t free_memory(int device) {
  const OnDevice chosen(device);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "ask a GPU for its free memory");
  return static_cast<int64_t>(free);
}

char* allocate(int device, int64_t bytes) {
  const OnDevice chosen(device);
  void* found = nullptr;
  check(cudaMalloc(&found, static_cast<size_t>(std::max<int64_t>(bytes, 1))), "allocate device memory");
  return static_cast<char*>(found);
}
void release(int device, char* memory) {
  const OnDevice chosen(device);
  check(cudaFree(memory), "free device memory");
}
void copy_in(int device, char* to, const char* from, int64_t bytes) {
  const OnDevice chosen(device);
  check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "copy to the device");
}
void copy_out(int device, char* to, const char* from, int64_t bytes) {
  const OnDevice chosen(device);
  check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost), "copy from the device");
}

std::unique_ptr<DeviceLane> open_lane(int device) { return std::make_unique<Lane>(device); }

void pin(char* memory, int64_t bytes) {
  if (bytes > 0 && cudaHostRegister(memory, static_cast<size_t>(bytes), cudaHostRegisterDefault) != cudaSuccess)
    cudaGetLastError();
}
void unpin(char* memory) {
  if (cudaHostUnregister(memory) != cudaSuccess) cudaGetLastError();
}

}  // namespace
}  // namespace cuda

const DeviceBackend* device_backend() {
#if defined(FK_EMULATED)
  constexpr const char* kind = "emulated";
#else
  constexpr const char* kind = "cuda";
#endif
  static const DeviceBackend backend{
      .kind = kind,
      .devices = cuda::devices,
      .free_memory = cuda::free_memory,
      .workspace_bytes = cuda::workspace_bytes,
      .part_workspace_bytes = cuda::part_workspace_bytes,
      .scan_bytes = cuda::TileScan::found_bytes,
      .scan_answer = cuda::TileScan::answer,
      .merge = cuda::merge,
      .open_lane = cuda::open_lane,
      .allocate = cuda::allocate,
      .release = cuda::release,
      .copy_in = cuda::copy_in,
      .copy_out = cuda::copy_out,
      .pin = cuda::pin,
      .unpin = cuda::unpin,
  };
  return &backend;
}

}  // namespace fk
