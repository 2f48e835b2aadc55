// trace.cpp: keeps what the host asked of its streams.
#include "trace.h"

#include <map>
#include <string>

#include "runtime.h"

namespace emulator {
namespace {

bool is_on = false;
std::string& lines() {
  static auto& all = *new std::string;
  return all;
}
std::map<const void*, int>& numbers() {
  static auto& all = *new std::map<const void*, int>;
  return all;
}

}  // namespace

void trace(const char* what, const void* stream, int device, size_t bytes) {
  if (!is_on) return;
  const int number = numbers().try_emplace(stream, static_cast<int>(numbers().size())).first->second;
  lines() += std::string(what) + " " + std::to_string(device) + " " + std::to_string(number) + " " +
             std::to_string(bytes) + "\n";
}

}  // namespace emulator

// For tests in Python, by way of ctypes.
extern "C" {
__attribute__((visibility("default"))) void fk_emulator_trace(int on) {
  const std::lock_guard lock(emulator::runtime().mutex);
  emulator::is_on = on != 0;
  if (on) {
    emulator::lines().clear();
    emulator::numbers().clear();
  }
}
__attribute__((visibility("default"))) const char* fk_emulator_traced() { return emulator::lines().c_str(); }
}
