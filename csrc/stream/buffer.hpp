// buffer.hpp: where a tensor's bytes are: an open file or memory, read and written at an offset.
#pragma once
#include <cstdint>
#include <string>

namespace fk {

struct Buffer {
  int file = -1;            // a descriptor the caller opened and will close
  char* address = nullptr;  // or memory the caller keeps alive
  int64_t size = 0;         // of the memory

  bool is_file() const { return address == nullptr; }
  std::string name() const;

  // `bytes` bytes at `offset`: memory where it is, a file's through `scratch`. Throws IoError.
  const char* read(int64_t offset, int64_t bytes, char* scratch) const;
  // Where to put bytes for write(): memory itself, or `scratch`.
  char* place(int64_t offset, char* scratch) const { return is_file() ? scratch : address + offset; }
  void write(int64_t offset, int64_t bytes, const char* from) const;
};

}  // namespace fk
