// guarded.cpp: buffers between inaccessible pages, what surrounds them, and those that were freed.
#include "guarded.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>

#include "errors.h"
#include "fiber.h"

namespace emulator {
namespace {

constexpr size_t kAlignment = 16;
constexpr size_t kFilledBytes = size_t{64} << 20;
constexpr size_t kKeptBuffers = 512;  // freed ones
constexpr size_t kWatchedBytes = 64;  // before a buffer, after every kernel; all when it is freed
constexpr std::byte kMargin{0xc7};

using Buffers = std::map<uintptr_t, Buffer>;  // by their first page

struct Memory {
  Buffers live, freed;
  std::deque<uintptr_t> oldest_freed;
};

// Never destroyed: a program may free buffers while it ends.
Memory& memory() {
  static Memory& the_memory = *new Memory;
  return the_memory;
}

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
std::byte* last_page(const Buffer& buffer) { return buffer.pages + buffer.page_bytes - kPageBytes; }

bool is_untouched(const std::byte* from, const std::byte* to) {
  return std::all_of(from, to, [](std::byte value) { return value == kMargin; });
}

std::string size_of(const Buffer& buffer) {
  const std::string bytes = std::to_string(buffer.bytes) + " bytes of ";
  return bytes + (buffer.device == kSharedMemory ? "shared memory" : "device " + std::to_string(buffer.device));
}

void write_margin(const Buffer& buffer, size_t before) {
  std::byte* end = buffer.begin + buffer.bytes;
  std::memset(buffer.begin - before, static_cast<int>(kMargin), before);
  std::memset(end, static_cast<int>(kMargin), static_cast<size_t>(last_page(buffer) - end));
}

// Looks at so many bytes before the buffer, and at those behind it. What is found is said once.
bool check_margin(const Buffer& buffer, size_t before) {
  const bool start = is_untouched(buffer.begin - before, buffer.begin);
  const bool end = is_untouched(buffer.begin + buffer.bytes, last_page(buffer));
  if (start && end) return true;
  write_margin(buffer, before);
  report("a kernel wrote just " + std::string(start ? "behind the end" : "before the start") + " of a buffer of " +
         size_of(buffer));
  return false;
}

Buffer* find_in(Buffers& buffers, const void* address) {
  const auto number = reinterpret_cast<uintptr_t>(address);
  const auto after = buffers.upper_bound(number);
  if (after == buffers.begin()) return nullptr;
  Buffer& buffer = std::prev(after)->second;
  return number - reinterpret_cast<uintptr_t>(buffer.pages) < buffer.page_bytes ? &buffer : nullptr;
}

size_t room_before(const Buffer& buffer) { return static_cast<size_t>(buffer.begin - buffer.pages) - kPageBytes; }

}  // namespace

Buffer* make_buffer(size_t bytes, int device) {
  const size_t inner = round_up(bytes, kPageBytes), all = inner + 2 * kPageBytes;
  void* memory_of_all = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory_of_all == MAP_FAILED) return nullptr;
  auto* pages = static_cast<std::byte*>(memory_of_all);
  if (mprotect(pages + kPageBytes, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(pages, all);
    return nullptr;
  }
  Buffer buffer{.begin = pages + kPageBytes + inner - round_up(bytes, kAlignment),
                .bytes = bytes,
                .pages = pages,
                .page_bytes = all,
                .device = device,
                .is_freed = false};
  std::memset(buffer.begin, 0xff, std::min(bytes, kFilledBytes));
  write_margin(buffer, room_before(buffer));
  return &(memory().live[reinterpret_cast<uintptr_t>(pages)] = buffer);
}

bool free_buffer(Buffer& buffer) {
  const bool is_whole = check_margin(buffer, room_before(buffer));
  buffer.is_freed = true;
  // The pages go back to the system, their addresses do not.
  mmap(buffer.pages, buffer.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  auto& [live, freed, oldest_freed] = memory();
  const auto first_page = reinterpret_cast<uintptr_t>(buffer.pages);
  freed.insert(live.extract(first_page));
  oldest_freed.push_back(first_page);
  if (oldest_freed.size() > kKeptBuffers) {
    const auto oldest = freed.find(oldest_freed.front());
    munmap(oldest->second.pages, oldest->second.page_bytes);
    freed.erase(oldest);
    oldest_freed.pop_front();
  }
  return is_whole;
}

Buffer* find_buffer(const void* address) {
  Buffer* live = find_in(memory().live, address);
  return live ? live : find_in(memory().freed, address);
}

std::string describe_address(const void* address) {
  const Buffer* buffer = find_buffer(address);
  if (!buffer) return "memory that no device has";
  const auto* at = static_cast<const std::byte*>(address);
  const std::byte* end = buffer->begin + buffer->bytes;
  std::string place = "inside";
  if (at < buffer->begin) place = std::to_string(buffer->begin - at) + " bytes before the start of";
  if (at >= end) place = std::to_string(at - end) + " bytes behind the end of";
  return place + " a " + (buffer->is_freed ? "freed " : "") + "buffer of " + size_of(*buffer);
}

bool check_margins(int device) {
  return std::ranges::all_of(memory().live, [&](const auto& entry) {
    const Buffer& buffer = entry.second;
    return buffer.device != device || check_margin(buffer, std::min(kWatchedBytes, room_before(buffer)));
  });
}

size_t count_buffers() {
  return static_cast<size_t>(
      std::ranges::count_if(memory().live, [](const auto& entry) { return entry.second.device != kSharedMemory; }));
}

}  // namespace emulator
