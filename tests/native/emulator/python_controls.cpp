// python_controls.cpp: what a test asks of the emulator (see controls.h), for tests in Python by way of ctypes.
#include "controls.h"
#include "device.h"
#include "streams.h"

#define FK_CONTROL extern "C" __attribute__((visibility("default")))

FK_CONTROL void fk_emulator_reset() { emulator::reset(); }
FK_CONTROL void fk_emulator_set_order(int order, uint64_t seed) {
  emulator::set_order(static_cast<emulator::Order>(order), seed);
}
FK_CONTROL void fk_emulator_set_device_memory(size_t bytes) { emulator::set_device_memory(bytes); }
FK_CONTROL void fk_emulator_lose_device_after(int64_t launches) { emulator::lose_device_after(launches); }
FK_CONTROL int64_t fk_emulator_launches() { return emulator::launches(); }
FK_CONTROL size_t fk_emulator_allocated_bytes() { return emulator::allocated_bytes(); }
// 0 where it cannot be had.
FK_CONTROL uintptr_t fk_emulator_open_stream(int device) {
  cudaStream_t stream = nullptr;
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(device);
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaSetDevice(before);
  return reinterpret_cast<uintptr_t>(stream);
}
FK_CONTROL void fk_emulator_synchronise(uintptr_t stream) {
  cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(stream));
}
