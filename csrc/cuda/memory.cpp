// memory.cpp: sends tables to the device by the way that suits the stream.
#include "cuda/memory.hpp"

#include "cuda/check.hpp"

namespace fk::cuda {

void Memory::send(const Queue& queue) {
  std::vector<char> image;
  for (const Held& held : held_) image.insert(image.end(), held.bytes.get(), held.bytes.get() + held.size);
  held_.clear();
  send(image, tables_ + sent_, queue);
  sent_ += static_cast<int64_t>(image.size());
}

// A copy from pageable memory has left it when the call returns, but a graph would read it again each time it runs.
void Memory::send(const std::vector<char>& bytes, char* to, const Queue& queue) {
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(queue.stream, &capturing), "look at the stream");
  constexpr size_t kFew = 16 << 10;
  if (bytes.size() <= kFew || capturing != cudaStreamCaptureStatusNone)
    store(bytes, to, queue);
  else
    check(cudaMemcpyAsync(to, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, queue.stream), "copy to the device");
}

void Memory::clear(const Queue& queue) const {
  if (used_.zeros > 0)
    check(cudaMemsetAsync(zeros_, 0, static_cast<size_t>(used_.zeros), queue.stream), "clear device memory");
}

}  // namespace fk::cuda
