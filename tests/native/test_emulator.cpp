// test_emulator.cpp: the emulator of GPUs computes what a GPU would, and notices what a GPU would not forgive.
#include <cuda_runtime.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "cuda/instantiate.cuh"
#include "cuda/launch.cuh"
#include "methods/linear.hpp"
#include "methods/ties.hpp"  // compiles, as every method does

using namespace fk::test;
using emulator::Order;

namespace {

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

std::vector<int> counting(int count) {
  std::vector<int> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 1);
  return values;
}

void in_every_order(const std::function<void(const std::string& about)>& check) {
  emulator::set_order(Order::forward);
  check("forward");
  emulator::set_order(Order::reverse);
  check("reverse");
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    emulator::set_order(Order::random, seed);
    check("random order " + std::to_string(seed));
  }
  emulator::set_order(Order::forward);
}

// The error that a kernel ends with, and its report.
void expect_failure(cudaError_t expected, const std::vector<std::string>& parts) {
  const cudaError_t error = cudaDeviceSynchronize();
  const std::string text = cudaGetErrorString(error);
  CHECK(error == expected, cudaGetErrorName(error), " instead of ", cudaGetErrorName(expected), ": ", text);
  for (const std::string& part : parts) CHECK(contains(text, part), "\"", text, "\" does not say \"", part, "\"");
  CHECK(cudaDeviceSynchronize() == expected, "the error stays until it is read");
  CHECK(cudaGetLastError() == expected && cudaGetLastError() == cudaSuccess, text);
  CHECK_CUDA(cudaDeviceSynchronize());
}

// Kernels are launched in a stream: what they do wrong is found when somebody synchronises.
cudaStream_t stream() {
  static cudaStream_t the_stream = nullptr;
  if (!the_stream) CHECK_CUDA(cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking));
  return the_stream;
}

// ---- what is right ----

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

void check_block_sums() {
  const OnDevice<int> in(counting(4 * 256)), out(4);
  in_every_order([&](const std::string& about) {
    fk::cuda::launch(sum_blocks<true>, dim3(4), dim3(256), stream(), in.get(), out.get());
    CHECK_CUDA(cudaStreamSynchronize(stream()));
    const std::vector<int> sums = out.read();
    for (int block = 0; block < 4; ++block)
      CHECK(sums[static_cast<size_t>(block)] == 256 * 256 * block + 256 * 257 / 2, about);
  });
}

template <class T>
__global__ void shuffle(T* out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const T value = static_cast<T>(threadIdx.x) + T(0.5);
  T* row = out + threadIdx.x * 6;
  row[0] = __shfl_sync(~0u, value, lane / 4 * 4 + 3, 8);
  row[1] = __shfl_up_sync(~0u, value, 3, 16);
  row[2] = __shfl_down_sync(~0u, value, 3, 16);
  row[3] = __shfl_xor_sync(~0u, value, 5);
  T sum = value;
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  row[4] = sum;
  // Halves of a warp apart, one of them more often than the other.
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  for (int turn = 0; turn < (lane < 16 ? 2 : 7); ++turn) row[5] = __shfl_sync(half, value + T(turn), 0, 16);
}

template <class T>
void check_shuffles() {
  const OnDevice<T> out(64 * 6);
  in_every_order([&](const std::string& about) {
    fk::cuda::launch(shuffle<T>, dim3(1), dim3(64), stream(), out.get());
    CHECK_CUDA(cudaStreamSynchronize(stream()));
    const std::vector<T> all = out.read();
    for (int thread = 0; thread < 64; ++thread) {
      const int lane = thread % 32, warp = thread - lane, part = lane % 16;
      const T expected[] = {static_cast<T>(warp + lane / 8 * 8 + (lane / 4 * 4 + 3) % 8) + T(0.5),
                            static_cast<T>(part >= 3 ? thread - 3 : thread) + T(0.5),
                            static_cast<T>(part + 3 < 16 ? thread + 3 : thread) + T(0.5),
                            static_cast<T>(warp + (lane ^ 5)) + T(0.5),
                            static_cast<T>(32 * warp + 31 * 16) + 32 * T(0.5),
                            static_cast<T>(warp + lane / 16 * 16 + (lane < 16 ? 1 : 6)) + T(0.5)};
      for (int column = 0; column < 6; ++column)
        CHECK(all[static_cast<size_t>(thread * 6 + column)] == expected[column], about, ", thread ", thread,
              ", shuffle ", column, " gives ", all[static_cast<size_t>(thread * 6 + column)]);
    }
  });
}

__global__ void compact_odd(const int* in, int* out, int* count, int* votes) {
  const bool is_odd = in[threadIdx.x] % 2 != 0;
  const unsigned lane = threadIdx.x % 32, odd = __ballot_sync(~0u, is_odd);
  __shared__ int starts[32];
  if (lane == 0) starts[threadIdx.x / 32] = atomicAdd(count, __popc(odd));
  __syncwarp();
  if (is_odd) out[starts[threadIdx.x / 32] + __popc(odd & ((1u << lane) - 1))] = in[threadIdx.x];
  const bool any = __any_sync(~0u, in[threadIdx.x] == 70), all = __all_sync(~0u, in[threadIdx.x] > 32);
  const int block_any = __syncthreads_or(in[threadIdx.x] == 70), block_all = __syncthreads_and(is_odd);
  const int block_count = __syncthreads_count(is_odd);
  votes[threadIdx.x] = any + 2 * all + 4 * block_any + 8 * block_all + 16 * block_count;
}

void check_votes() {
  const OnDevice<int> in(counting(128)), out(64), votes(128);
  in_every_order([&](const std::string& about) {
    const OnDevice<int> count(std::vector<int>{0});
    fk::cuda::launch(compact_odd, dim3(1), dim3(128), stream(), in.get(), out.get(), count.get(), votes.get());
    CHECK_CUDA(cudaStreamSynchronize(stream()));
    std::vector<int> found = out.read();
    std::sort(found.begin(), found.end());
    for (int i = 0; i < 64; ++i) CHECK(found[static_cast<size_t>(i)] == 2 * i + 1, about);
    const std::vector<int> voted = votes.read();
    for (int i = 0; i < 128; ++i)
      CHECK(voted[static_cast<size_t>(i)] == (i / 32 == 2 ? 1 : 0) + (i >= 32 ? 2 : 0) + 4 + 16 * 64, about, " ", i);
  });
}

__global__ void fill_histogram(const int* in, int n, unsigned* bins, double* sum, int* extremes,
                               unsigned long long* bits) {
  const int stride = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += stride) {
    atomicAdd(&bins[in[i] % 7], 1);
    atomicAdd(sum, in[i]);
    atomicMax(&extremes[0], in[i]);
    atomicMin(&extremes[1], in[i]);
    atomicOr(&bits[0], 1ull << in[i] % 64);
    for (unsigned long long old = bits[1], seen; (seen = atomicCAS(&bits[1], old, old + 1)) != old;) old = seen;
  }
}

void check_atomics() {
  constexpr int n = 1000;
  const OnDevice<int> in(counting(n));
  in_every_order([&](const std::string& about) {
    const OnDevice<unsigned> bins(std::vector<unsigned>(7, 0));
    const OnDevice<double> sum(std::vector<double>{0});
    const OnDevice<int> extremes(std::vector<int>{-5, 5000});
    const OnDevice<unsigned long long> bits(std::vector<unsigned long long>{0, 0});
    fk::cuda::launch(fill_histogram, dim3(3), dim3(96), stream(), in.get(), n, bins.get(), sum.get(), extremes.get(),
                     bits.get());
    CHECK_CUDA(cudaStreamSynchronize(stream()));
    for (unsigned bin = 0; bin < 7; ++bin) CHECK(bins.read()[bin] == (bin == 0 || bin == 7 ? 142u : 143u), about);
    CHECK(sum.read()[0] == n * (n + 1) / 2.0, about);
    CHECK(extremes.read() == (std::vector<int>{n, 1}), about);
    CHECK(bits.read() == (std::vector<unsigned long long>{~0ull, n}), about);
  });
}

__global__ void copy_grid(const float* in, float* out, int n) {
  const int stride = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += stride) out[i] = in[i];
}

__global__ void number_threads(uint3* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = make_uint3(block, thread, warpSize);
}

void check_indices() {
  const std::vector<float> values{1, 2, 3, 4, 5, 6, 7};
  const OnDevice<float> in(values), out(values.size());
  fk::cuda::launch(copy_grid, dim3(2), dim3(2), nullptr, in.get(), out.get(), 7);
  CHECK(out.read() == values, "grid-stride copy");
  const OnDevice<uint3> numbers(2 * 3 * 2 * 4 * 3 * 2);
  in_every_order([&](const std::string& about) {
    fk::cuda::launch(number_threads, dim3(2, 3, 2), dim3(4, 3, 2), nullptr, numbers.get());
    const std::vector<uint3> found = numbers.read();
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].x == i / 24 && found[i].y == i % 24, about, " ", i);
  });
}

__global__ void reverse_dynamic(int* values) {
  int* all = static_cast<int*>(emulator::dynamic_shared());
  all[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = all[blockDim.x - 1 - threadIdx.x];
}

__global__ void round_third(float* out) {
  volatile float one = 1, three = 3, least = 1e-45f;
  out[0] = one / three;
  out[1] = least * one;
}

void check_bits_and_arithmetic() {
  CHECK(__brev(1) == 0x80000000u && __brev(0x12345678) == 0x1e6a2c48u, "brev");
  CHECK(__umulhi(0xffffffffu, 0xffffffffu) == 0xfffffffeu, "umulhi");
  CHECK(__byte_perm(0x33221100, 0x77665544, 0x7250) == 0x77225500u, "byte_perm");
  CHECK(__ffs(0) == 0 && __ffs(8) == 4 && __ffsll(1ll << 40) == 41 && __clz(0) == 32 && __clzll(1) == 63, "bits");
  CHECK(__float_as_int(1.0f) == 0x3f800000 && __longlong_as_double(__double_as_longlong(0.1)) == 0.1, "casts");
  static_assert(alignof(float4) == 16 && alignof(int2) == 8 && alignof(ulonglong2) == 16 && alignof(double2) == 16);
  const OnDevice<float> out(2);
  std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);  // subnormals are 0
#endif
  fk::cuda::launch(round_third, dim3(1), dim3(1), nullptr, out.get());
  CHECK(std::fegetround() == FE_UPWARD, "the host keeps its rounding");
  std::fesetenv(FE_DFL_ENV);
  CHECK(out.read()[0] == 1.0f / 3.0f && out.read()[1] == 1e-45f, "kernels round to nearest and have subnormals");
  const OnDevice<int> values(std::vector<int>{1, 2, 3, 4});
  emulator::launch(reverse_dynamic, 1, 4, 4 * sizeof(int), nullptr, values.get());
  CHECK(values.read() == (std::vector<int>{4, 3, 2, 1}), "dynamic shared memory");
}

__global__ void add(int* values, int amount) { values[threadIdx.x] += amount; }
__global__ void take_from(int* to, const int* from) { to[threadIdx.x] = from[threadIdx.x]; }

void check_streams() {
  cudaStream_t other;
  cudaEvent_t event, never;
  CHECK_CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  CHECK_CUDA(cudaEventCreate(&event));
  CHECK_CUDA(cudaEventCreateWithFlags(&never, cudaEventDisableTiming));
  CHECK(cudaEventQuery(never) == cudaSuccess, "an event that was never recorded");
  in_every_order([&](const std::string& about) {
    const OnDevice<int> first(counting(4)), second(counting(4));
    fk::cuda::launch(add, dim3(1), dim3(4), stream(), first.get(), 10);
    CHECK_CUDA(cudaEventRecord(event, stream()));
    fk::cuda::launch(add, dim3(1), dim3(4), stream(), first.get(), 100);
    CHECK_CUDA(cudaStreamWaitEvent(other, event));
    CHECK_CUDA(cudaEventRecord(event, other));  // recorded again: what waits already waits for the record before
    fk::cuda::launch(take_from, dim3(1), dim3(4), other, second.get(), first.get());
    CHECK(cudaStreamQuery(other) == cudaErrorNotReady, about);
    CHECK_CUDA(cudaStreamSynchronize(other));
    CHECK(second.read() == (std::vector<int>{11, 12, 13, 14}), about, ", after an event");
    int queries = 1;
    while (cudaStreamQuery(stream()) == cudaErrorNotReady) ++queries;
    CHECK(queries < 5 && first.read()[0] == 111, about, ", polled ", queries, " times");
  });
  float milliseconds = -1;
  cudaEvent_t later;
  CHECK_CUDA(cudaEventCreate(&later));
  CHECK_CUDA(cudaEventRecord(later, other));
  CHECK(cudaEventElapsedTime(&milliseconds, event, later) == cudaErrorNotReady, "not yet");
  CHECK_CUDA(cudaEventSynchronize(later));
  CHECK_CUDA(cudaEventElapsedTime(&milliseconds, event, later));
  CHECK(milliseconds >= 0, milliseconds);
  for (cudaEvent_t each : {event, never, later}) CHECK_CUDA(cudaEventDestroy(each));
  CHECK_CUDA(cudaStreamDestroy(other));
  CHECK(cudaStreamSynchronize(other) == cudaErrorInvalidResourceHandle, "a destroyed stream");
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle, "");
}

void check_devices() {
  int count = 0, device = -1;
  CHECK_CUDA(cudaGetDeviceCount(&count));
  CHECK(count == 2, count);
  std::vector<std::thread> hosts;  // each with a device and a stream of its own
  for (int which = 0; which < count; ++which)
    hosts.emplace_back([which] {
      CHECK_CUDA(cudaSetDevice(which));
      cudaStream_t own;
      CHECK_CUDA(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking));
      const OnDevice<int> values(counting(32));
      for (int turn = 0; turn < 100; ++turn) fk::cuda::launch(add, dim3(1), dim3(32), own, values.get(), which + 1);
      CHECK_CUDA(cudaStreamSynchronize(own));
      CHECK(values.read()[31] == 32 + 100 * (which + 1), which);
      cudaPointerAttributes attributes;
      CHECK_CUDA(cudaPointerGetAttributes(&attributes, values.get() + 31));
      CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == which, attributes.device);
      CHECK_CUDA(cudaStreamDestroy(own));
    });
  for (std::thread& host : hosts) host.join();
  CHECK_CUDA(cudaGetDevice(&device));
  CHECK(device == 0, "the device is the host thread's");
  cudaDeviceProp properties;
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 1));
  CHECK(std::string(properties.name) == "emulated GPU" && properties.major == 9, properties.name);
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice && cudaGetLastError() == cudaErrorInvalidDevice, "");
  emulator::set_device_count(0);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0, count);
  emulator::reset();
}

void check_host_memory() {
  int* pinned;
  cudaPointerAttributes attributes;
  CHECK_CUDA(cudaMallocHost(&pinned, 16));
  CHECK_CUDA(cudaPointerGetAttributes(&attributes, pinned));
  CHECK(attributes.type == cudaMemoryTypeHost, attributes.type);
  const OnDevice<int> values(counting(8));
  CHECK(cudaMemcpy(pinned, values.get(), 20, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue, "beyond pinned memory");
  CHECK(cudaMemcpy(values.get(), pinned, 16, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue, "the wrong way");
  CHECK(cudaMemcpy(pinned, values.get() + 6, 16, cudaMemcpyDefault) == cudaErrorInvalidValue, "beyond a buffer");
  CHECK(cudaGetLastError() == cudaErrorInvalidValue, "");
  CHECK_CUDA(cudaFreeHost(pinned));
  std::vector<int> own(4);
  CHECK_CUDA(cudaHostRegister(own.data(), 16, cudaHostRegisterDefault));
  CHECK(cudaHostRegister(own.data(), 16, cudaHostRegisterDefault) == cudaErrorHostMemoryAlreadyRegistered, "");
  CHECK_CUDA(cudaHostUnregister(own.data()));
  CHECK(cudaHostUnregister(own.data()) == cudaErrorHostMemoryNotRegistered, "");
  cudaGetLastError();
}

// A method's own kernel, from the file that nvcc compiles: the mean of two models, weighted 1 and 3.
void check_fold() {
  using fk::Linear;
  const auto code = [](float value) { return static_cast<uint16_t>(fk::encode<fk::DType::bf16, float>(value)); };
  std::vector<uint16_t> low, high, expected;
  for (int i = 0; i < 100; ++i) {
    low.push_back(code(static_cast<float>(i)));
    high.push_back(code(static_cast<float>(-i)));
    expected.push_back(code(static_cast<float>(-i) / 2));
  }
  const OnDevice<uint16_t> first(low), second(high), out(low.size());
  const OnDevice<const uint16_t*> models(std::vector<const uint16_t*>{first.get(), second.get()});
  const OnDevice<Linear::Model<float>> weights(std::vector<Linear::Model<float>>{{1}, {3}});
  const OnDevice<Linear::Shared<float>> shared(std::vector<Linear::Shared<float>>{{4}});
  fk::cuda::fold<Linear>({.base = nullptr,
                          .models = models.get(),
                          .out = out.get(),
                          .n = 100,
                          .count = 2,
                          .model_parameters = weights.get(),
                          .shared_parameters = shared.get()},
                         stream());
  CHECK_CUDA(cudaStreamSynchronize(stream()));
  CHECK(out.read() == expected, "linear");
}

// ---- what is wrong ----

void check_missing_barrier() {
  const OnDevice<int> in(counting(256)), out(1);
  const auto sum_in = [&](Order order) {
    emulator::set_order(order);
    fk::cuda::launch(sum_blocks<false>, dim3(1), dim3(256), nullptr, in.get(), out.get());
    return out.read()[0];
  };
  CHECK(sum_in(Order::forward) != sum_in(Order::reverse), "a missing barrier shows in another order");
  emulator::set_order(Order::forward);
}

__global__ void some_end_early(unsigned last) {
  if (threadIdx.x > last) return;
  __syncthreads();
}
__global__ void some_wait_elsewhere() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads_or(1);
}
__global__ void lanes_wait_elsewhere() {
  if (threadIdx.x == 5)
    __syncthreads();
  else
    __shfl_sync(~0u, 1, 0);
}

void check_divergence() {
  in_every_order([](const std::string&) {
    fk::cuda::launch(some_end_early, dim3(2), dim3(64), stream(), 62u);
    expect_failure(cudaErrorLaunchFailure, {"waits in __syncthreads, but thread (63, 0, 0) of block (", "has ended"});
    fk::cuda::launch(some_wait_elsewhere, dim3(1), dim3(64), stream());
    expect_failure(cudaErrorLaunchFailure, {"of block (0, 0, 0) waits in __syncthreads", "__syncthreads_or"});
    fk::cuda::launch(lanes_wait_elsewhere, dim3(1), dim3(32), stream());
    expect_failure(cudaErrorLaunchFailure, {"waits in __shfl_sync with mask 0xffffffff, but thread (5, 0, 0) of block",
                                            "waits in __syncthreads"});
  });
}

enum class Misuse { ended_lane, no_such_lane, not_itself, source_outside, other_mask, width };
__global__ void misuse_shuffle(Misuse misuse) {
  const unsigned lane = threadIdx.x;
  if (misuse == Misuse::ended_lane && lane == 7) return;
  if (misuse == Misuse::ended_lane || misuse == Misuse::no_such_lane) __shfl_sync(~0u, 1, 0);
  if (misuse == Misuse::not_itself) __ballot_sync(0xfffffffeu, 1);
  if (misuse == Misuse::source_outside && lane < 8) __shfl_down_sync(0xffu, 1.5, 2);
  if (misuse == Misuse::other_mask) __any_sync(lane == 3 ? 0xffu : ~0u, 1);
  if (misuse == Misuse::width) __shfl_xor_sync(~0u, 1, 1, 5);
}

void check_collectives() {
  const auto misuse = [](Misuse how, unsigned threads, const std::vector<std::string>& parts) {
    in_every_order([&](const std::string&) {
      fk::cuda::launch(misuse_shuffle, dim3(1), dim3(threads), stream(), how);
      expect_failure(cudaErrorLaunchFailure, parts);
    });
  };
  misuse(Misuse::ended_lane, 32, {"__shfl_sync with mask 0xffffffff", "thread (7, 0, 0)", "has ended"});
  misuse(Misuse::no_such_lane, 40, {"names lane 8, which the block does not have"});
  misuse(Misuse::not_itself, 32, {"thread (0, 0, 0) of block (0, 0, 0)", "which does not name its own lane 0"});
  misuse(Misuse::source_outside, 32, {"in __shfl_down_sync, which its mask 0x000000ff does not name"});
  misuse(Misuse::other_mask, 32, {"waits in __any_sync with mask 0x"});
  misuse(Misuse::width, 32, {"comes with a width of 5"});
}

__global__ void write_at(int* values, int at) { values[at] = 1; }
__global__ void read_at(const int* values, int at, int* out) { *out = values[at]; }
__global__ void throw_up() { throw fk::InvalidArgument("never on a GPU"); }
__global__ void overflow(int depth, int* out) {
  volatile char frame[1024];
  frame[depth % 1024] = 1;
  if (depth > 0) overflow(depth - 1, out);
  out[0] += frame[0];
}

void check_bounds() {
  const OnDevice<int> values(counting(28)), out(1);
  fk::cuda::launch(write_at, dim3(1), dim3(1), stream(), values.get(), 28);
  expect_failure(cudaErrorIllegalAddress, {"thread (0, 0, 0) of block (0, 0, 0) writes 0 bytes behind the end",
                                           "a buffer of 112 bytes of device 0"});
  fk::cuda::launch(read_at, dim3(1), dim3(1), stream(), values.get(), 31, out.get());
  expect_failure(cudaErrorIllegalAddress, {"reads 12 bytes behind the end of a buffer of 112 bytes"});
  fk::cuda::launch(write_at, dim3(1), dim3(1), stream(), values.get(), -3);
  expect_failure(cudaErrorIllegalAddress, {"wrote just before the start of a buffer of 112 bytes"});
  CHECK(values.read() == counting(28), "the buffer itself is whole");
  int* odd;
  CHECK_CUDA(cudaMalloc(&odd, 20));
  fk::cuda::launch(write_at, dim3(1), dim3(1), stream(), odd, 5);
  expect_failure(cudaErrorIllegalAddress, {"wrote just behind the end of a buffer of 20 bytes"});
  CHECK_CUDA(cudaFree(odd));
  fk::cuda::launch(read_at, dim3(1), dim3(1), stream(), odd, 0, out.get());
  expect_failure(cudaErrorIllegalAddress, {"reads inside a freed buffer of 20 bytes"});
  fk::cuda::launch(throw_up, dim3(1), dim3(4), stream());
  expect_failure(cudaErrorLaunchFailure, {"threw an exception: never on a GPU"});
#if !defined(__SANITIZE_ADDRESS__)  // UndefinedBehaviorSanitizer, in the same build, sees these two first
  fk::cuda::launch(write_at, dim3(1), dim3(1), stream(), nullptr, 0);
  expect_failure(cudaErrorIllegalAddress, {"writes through a null pointer"});
  fk::cuda::launch(overflow, dim3(1), dim3(1), stream(), 1000, out.get());
  expect_failure(cudaErrorIllegalAddress, {"needs more than the stack of a thread"});
#endif
  cudaStream_t own = stream();
  CHECK_CUDA(cudaMallocAsync(&odd, 64, own));
  fk::cuda::launch(write_at, dim3(1), dim3(1), own, odd, 15);
  CHECK_CUDA(cudaFreeAsync(odd, own));
  CHECK_CUDA(cudaStreamSynchronize(own));
  CHECK(cudaFree(odd) == cudaErrorInvalidValue && cudaGetLastError() == cudaErrorInvalidValue, "freed twice");
}

// What is no kernel's doing is somebody else's to handle: here a process that ends with 42.
void check_foreign_faults() {
  const OnDevice<int> out(1);
  void* closed = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, [](int) { _exit(42); });
    emulator::launch(read_at, 1, 1, 0, nullptr, static_cast<const int*>(closed), 0, out.get());
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42, "status ", status);
  munmap(closed, 4096);
  struct sigaction action{};
  sigaction(SIGSEGV, nullptr, &action);
  CHECK(!(action.sa_flags & SA_NODEFER), "the emulator's handler is gone when no kernel runs");
}

void check_forgetting() {
  const OnDevice<int> values(counting(4));
  std::vector<int> seen(4, -1);
  fk::cuda::launch(add, dim3(1), dim3(4), stream(), values.get(), 10);
  CHECK_CUDA(cudaMemcpyAsync(seen.data(), values.get(), 16, cudaMemcpyDeviceToHost, stream()));
  CHECK(seen[0] == -1, "without synchronising, the host sees what was there");
  CHECK(values.read()[0] == 1, "and so does the null stream, which waits for no such stream");
  CHECK_CUDA(cudaStreamSynchronize(stream()));
  CHECK(seen[0] == 11, seen[0]);
  emulator::launch(add, 1, 1025, 0, stream(), values.get(), 1);
  CHECK_CUDA(cudaStreamSynchronize(stream()));
  CHECK(cudaPeekAtLastError() == cudaErrorInvalidConfiguration, "nobody has read it yet");
  const std::string text = error_of<fk::DeviceError>(
      "too large a block", [&] { fk::cuda::launch(add, dim3(1), dim3(1025), stream(), values.get(), 1); });
  CHECK(contains(text, "invalid configuration"), text);
  CHECK(cudaGetLastError() == cudaSuccess, "launch() has read it");
}

void check_scarcity() {
  emulator::set_device_memory(1000);
  int *first, *second;
  CHECK_CUDA(cudaMalloc(&first, 900));
  CHECK(cudaMalloc(&second, 101) == cudaErrorMemoryAllocation, "101 of 100 bytes");
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation, "");
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  CHECK(free == 100 && total == 1000, free, " of ", total);
  CHECK_CUDA(cudaFreeAsync(first, stream()));
  CHECK_CUDA(cudaMallocAsync(&second, 1000, stream()));
  CHECK_CUDA(cudaFree(second));
  emulator::reset();
}

void check_loss() {
  const OnDevice<int> values(counting(4));
  emulator::lose_device_after(3);
  for (int turn = 1; turn <= 4; ++turn) {
    emulator::launch(add, 1, 4, 0, stream(), values.get(), 1);
    CHECK(cudaGetLastError() == (turn < 3 ? cudaSuccess : cudaErrorDeviceUnavailable), "launch ", turn);
  }
  CHECK(cudaStreamSynchronize(stream()) == cudaErrorDeviceUnavailable, "");
  int* memory;
  CHECK(cudaMalloc(&memory, 4) == cudaErrorDeviceUnavailable, "");
  CHECK_CUDA(cudaSetDevice(1));
  CHECK_CUDA(cudaMalloc(&memory, 4));
  CHECK_CUDA(cudaFree(memory));
  emulator::reset();
  CHECK_CUDA(cudaSetDevice(0));
  CHECK(values.read()[0] == 1, "what was queued on a lost device is lost");
}

}  // namespace

int main() {
  check_block_sums();
  check_shuffles<int>();
  check_shuffles<float>();
  check_shuffles<double>();
  check_shuffles<unsigned long long>();
  check_votes();
  check_atomics();
  check_indices();
  check_bits_and_arithmetic();
  check_streams();
  check_devices();
  check_host_memory();
  check_fold();
  check_missing_barrier();
  check_divergence();
  check_collectives();
  check_bounds();
  check_foreign_faults();
  check_forgetting();
  check_scarcity();
  check_loss();
  CHECK(emulator::live_buffers() == 0 && emulator::allocated_bytes() == 0, "buffers that nobody freed");
}
