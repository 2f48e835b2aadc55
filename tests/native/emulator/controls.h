// controls.h: what a test asks of the emulator that a GPU would not be asked.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "block.h"

namespace emulator {

void set_order(Order order, uint64_t seed = 0);
void set_device_count(int count);      // up to 8; 0: cudaErrorNoDevice
void set_device_memory(size_t bytes);  // of each device
// The device that gets the n-th launch from now on does not run it and is lost: it answers cudaErrorDeviceUnavailable.
void lose_device_after(int64_t launches);
// Order, devices and memory as at the start, no device lost, no error pending. Buffers and queued work stay.
void reset();

// What went wrong in a kernel last: which thread of which block did what.
std::string last_report();
int64_t launches();        // until now
size_t live_buffers();     // not freed, of all devices
size_t allocated_bytes();  // in them

}  // namespace emulator
