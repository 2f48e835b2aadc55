// errors.cpp: names of errors, and the last one of each host thread.
#include "errors.h"

#include <utility>

#include "controls.h"
#include "runtime.h"

namespace emulator {
namespace {

struct LastError {
  cudaError_t error = cudaSuccess;
  int device = 0;
};
thread_local LastError last_error;

struct Description {
  cudaError_t error;
  const char *name, *text;
};
constexpr Description kDescriptions[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorDeviceUnavailable, "cudaErrorDeviceUnavailable", "the device is busy or unavailable"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device number"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid handle of a stream or an event"},
    {cudaErrorNotReady, "cudaErrorNotReady", "the work is not done yet"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "a kernel accessed memory that is not its own"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered", "the memory is registered already"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered", "the memory is not registered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "a kernel failed"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const Description& description_of(cudaError_t error) {
  for (const Description& description : kDescriptions)
    if (description.error == error) return description;
  return *std::rbegin(kDescriptions);
}

bool is_of_kernels(cudaError_t error) { return error == cudaErrorLaunchFailure || error == cudaErrorIllegalAddress; }

}  // namespace

void report(const std::string& text) { runtime().report = text; }

cudaError_t remember(cudaError_t error, int device) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = {error, device};
  return error;
}

void forget_last_error() { last_error = {}; }

}  // namespace emulator

using namespace emulator;

const char* cudaGetErrorName(cudaError_t error) { return description_of(error).name; }

const char* cudaGetErrorString(cudaError_t error) {
  const Description& description = description_of(error);
  const std::string report = is_of_kernels(error) ? last_report() : "";
  if (report.empty()) return description.text;
  thread_local std::string detailed;
  detailed = std::string(description.text) + ": " + report;
  return detailed.c_str();
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(runtime().mutex);
  return last_error.error != cudaSuccess ? last_error.error : runtime().devices[current_device()].failure;
}

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(runtime().mutex);
  LastError was = std::exchange(last_error, {});
  if (was.error == cudaSuccess) was = {runtime().devices[current_device()].failure, current_device()};
  cudaError_t& failure = runtime().devices[was.device].failure;
  if (was.error == failure) failure = cudaSuccess;
  return was.error;
}
