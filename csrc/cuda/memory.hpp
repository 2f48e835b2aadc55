// memory.hpp: one block of device memory, cut into tables (filled here, copied there), zeros and scratch.
#pragma once
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/kernels.hpp"

namespace fk::cuda {

// The same requests in the same order get the same places: a first round without memory measures how much is needed.
class Memory {
 public:
  struct Sizes {
    int64_t tables = 0, zeros = 0, scratch = 0;
    int64_t total() const { return tables + zeros + scratch; }
  };

  Memory() = default;
  Memory(char* start, const Sizes& sizes)
      : tables_(start), zeros_(start + sizes.tables), scratch_(zeros_ + sizes.zeros) {}

  template <class T>
  struct Table {
    T* here = nullptr;
    T* there = nullptr;
  };
  template <class T>
  Table<T> table(int64_t n) {
    const int64_t bytes = aligned(n * static_cast<int64_t>(sizeof(T)));
    auto& held = held_.emplace_back(new char[static_cast<size_t>(bytes)](), bytes);
    return {reinterpret_cast<T*>(held.bytes.get()), reinterpret_cast<T*>(take(tables_, used_.tables, bytes))};
  }
  template <class T>
  Table<T> copy(const std::vector<T>& values) {
    const Table<T> copied = table<T>(static_cast<int64_t>(values.size()));
    if (!values.empty()) std::memcpy(copied.here, values.data(), values.size() * sizeof(T));
    return copied;
  }
  template <class T>
  T* zeros(int64_t n) {
    return reinterpret_cast<T*>(take(zeros_, used_.zeros, aligned(n * static_cast<int64_t>(sizeof(T)))));
  }
  template <class T>
  T* scratch(int64_t n) {
    return reinterpret_cast<T*>(take(scratch_, used_.scratch, aligned(n * static_cast<int64_t>(sizeof(T)))));
  }
  const Sizes& used() const { return used_; }

  // What was filled in since the last time goes to the device. Nothing here needs to outlive the call.
  void send(const Queue& queue);
  static void send(const std::vector<char>& bytes, char* to, const Queue& queue);
  void clear(const Queue& queue) const;  // the zeros

 private:
  struct Held {
    Held(char* bytes, int64_t size) : bytes(bytes), size(size) {}
    std::unique_ptr<char[]> bytes;
    int64_t size;
  };
  static int64_t aligned(int64_t bytes) { return (bytes + 15) / 16 * 16; }
  static char* take(char* start, int64_t& used, int64_t bytes) {
    char* const taken = start + used;
    used += bytes;
    return taken;
  }

  // Without memory: addresses that are not null, which has a meaning in tables.
  char* tables_ = reinterpret_cast<char*>(uintptr_t{4096});
  char* zeros_ = tables_;
  char* scratch_ = tables_;
  Sizes used_;
  std::vector<Held> held_;
  int64_t sent_ = 0;
};

}  // namespace fk::cuda
