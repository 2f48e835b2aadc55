// backend.cpp: the GPU backend as the engine sees it.
#include <algorithm>

#include "cuda/device.hpp"
#include "cuda/fold_merge.hpp"
#include "cuda/gram_merge.hpp"
#include "cuda/peaks.hpp"
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
      return nullptr;
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
  void wait() override { check(cudaStreamSynchronize(queue_.stream), "wait for the device"); }

 private:
  int device_;
  Queue queue_{};
  char* memory_ = nullptr;
  int64_t bytes_ = 0;
};

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
      .workspace_bytes = cuda::workspace_bytes,
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
