// buffer.cpp: reads and writes that end only when every byte has moved.
#include "stream/buffer.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.hpp"

namespace fk {

std::string Buffer::name() const {
  if (!is_file()) return "memory";
  char path[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : "file descriptor " + std::to_string(file);
}

const char* Buffer::read(int64_t offset, int64_t bytes, char* scratch) const {
  if (!is_file()) return address + offset;
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got = pread(file, scratch + done, static_cast<size_t>(bytes - done), offset + done);
    if (got > 0) {
      done += got;
    } else if (got == 0) {
      struct stat status{};
      fstat(file, &status);  // the end may lie before the offset
      throw IoError(EIO, name() + " ends at byte " + std::to_string(status.st_size) + ", before its last tensor does");
    } else if (errno != EINTR) {
      throw IoError(errno, "cannot read " + name() + ": " + std::strerror(errno));
    }
  }
  return scratch;
}

void Buffer::write(int64_t offset, int64_t bytes, const char* from) const {
  if (!is_file()) {
    if (from != address + offset) std::memcpy(address + offset, from, static_cast<size_t>(bytes));
    return;
  }
  for (int64_t done = 0; done < bytes;) {
    const ssize_t put = pwrite(file, from + done, static_cast<size_t>(bytes - done), offset + done);
    if (put > 0) {
      done += put;
    } else if (put < 0 && errno != EINTR) {
      throw IoError(errno, "cannot write " + name() + ": " + std::strerror(errno));
    }
  }
}

}  // namespace fk
