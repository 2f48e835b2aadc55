// test_emulator_faults.cpp: the emulator of GPUs notices what a GPU would not forgive, and says who did it.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.hpp"
#include "on_device.hpp"

using namespace fk::test;
using emulator::Order;

namespace {

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
  struct sigaction before{}, after{};
  sigaction(SIGSEGV, nullptr, &before);
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
  fk::cuda::launch(write_at, dim3(1), dim3(1), nullptr, out.get(), 0);
  sigaction(SIGSEGV, nullptr, &after);
  CHECK(before.sa_sigaction == after.sa_sigaction, "the emulator's handler is gone when no kernel runs");
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
