// peaks.hpp: the largest magnitude of each result, which tells whether anything overflowed or is not finite.
#pragma once
#include "cuda/check.hpp"
#include "cuda/memory.hpp"
#include "stream/device_backend.hpp"

namespace fk::cuda {

class Peaks {
 public:
  Peaks(const std::vector<ResidentTensor>& tensors, Memory& memory)
      : first_(tensors.data()),
        count_(tensors.size()),
        there_(memory.zeros<unsigned long long>(static_cast<int64_t>(tensors.size()))) {}

  unsigned long long* of(const ResidentTensor* tensor) const { return there_ + (tensor - first_); }
  void fetch(int64_t* to, const Queue& queue) const {
    check(cudaMemcpyAsync(to, there_, count_ * sizeof(int64_t), cudaMemcpyDeviceToHost, queue.stream),
          "copy from the device");
  }

 private:
  const ResidentTensor* first_;
  size_t count_;
  unsigned long long* there_;
};

}  // namespace fk::cuda
