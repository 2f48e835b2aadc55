// on_device.hpp: what tests of kernels share: memory of a device, a stream, orders of threads, two kernels.
#pragma once
#include <cuda_runtime.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "check.hpp"
#include "cuda/launch.cuh"

namespace fk::test {

#define CHECK_CUDA(call)                                                                                      \
  do {                                                                                                        \
    const cudaError_t error = call;                                                                           \
    CHECK(error == cudaSuccess, #call " returns ", cudaGetErrorName(error), ": ", cudaGetErrorString(error)); \
  } while (false)

template <class T>
class OnDevice {
 public:
  explicit OnDevice(size_t count) : count_(count) { CHECK_CUDA(cudaMalloc(&memory_, count * sizeof(T))); }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    CHECK_CUDA(cudaMemcpy(memory_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~OnDevice() { cudaFree(memory_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* get() const { return memory_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    CHECK_CUDA(cudaMemcpy(values.data(), memory_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  T* memory_ = nullptr;
  size_t count_;
};

inline std::vector<int> counting(int count) {
  std::vector<int> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 1);
  return values;
}

inline void in_every_order(const std::function<void(const std::string& about)>& check) {
  emulator::set_order(emulator::Order::forward);
  check("forward");
  emulator::set_order(emulator::Order::reverse);
  check("reverse");
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    emulator::set_order(emulator::Order::random, seed);
    check("random order " + std::to_string(seed));
  }
  emulator::set_order(emulator::Order::forward);
}

// Kernels are launched in a stream: what they do wrong is found when somebody synchronises.
inline cudaStream_t stream() {
  static cudaStream_t the_stream = nullptr;
  if (!the_stream) CHECK_CUDA(cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking));
  return the_stream;
}

template <bool Synchronised>
__global__ void sum_blocks(const int* in, int* out) {
  __shared__ int values[256];
  values[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if constexpr (Synchronised) __syncthreads();
    if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = values[0];
}

__global__ void add(int* values, int amount) { values[threadIdx.x] += amount; }

}  // namespace fk::test
