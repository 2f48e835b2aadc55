// guarded.h: memory that ends at an inaccessible page, and stays inaccessible for a while after it is freed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace emulator {

inline constexpr int kSharedMemory = -1;

// The end lies less than 16 bytes before the inaccessible page, the start at a multiple of 16 bytes and no more.
struct Buffer {
  std::byte* begin;
  size_t bytes;
  std::byte* pages;  // with an inaccessible one at either end
  size_t page_bytes;
  int device;  // or kSharedMemory
  bool is_freed;
};

// Filled with ones (NaN in every format, -1), for a GPU's memory is not clear either, or null. Beyond 64 MiB only the
// first 64 MiB are: the system gives pages to what is touched.
Buffer* make_buffer(size_t bytes, int device);
// Whether nobody wrote into what is left of the buffer's pages; if somebody did, report() says so.
bool free_buffer(Buffer& buffer);

// The buffer, freed lately or not, that an address lies in, before or behind. No allocation, no lock.
Buffer* find_buffer(const void* address);
// "4 bytes behind the end of a buffer of 1000 bytes of device 0"
std::string describe_address(const void* address);

// Whether the bytes round the buffers of a device are what they were; if not, report() says which are not.
bool check_margins(int device);
size_t count_buffers();  // of devices

}  // namespace emulator
