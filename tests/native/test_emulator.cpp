// test_emulator.cpp: the emulator of GPUs computes what a GPU would, in whatever order the threads run.
#include <algorithm>
#include <cfenv>
#include <thread>

#include "on_device.hpp"

using namespace fk::test;

namespace {

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
  CHECK(emulator::live_buffers() == 0 && emulator::allocated_bytes() == 0, "buffers that nobody freed");
}
