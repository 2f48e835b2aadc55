// random.hpp: the same random numbers everywhere, and tensors filled with numbers that are known to hurt.
#pragma once
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <vector>

#include "core/dtype.hpp"
#include "core/formats.hpp"

namespace fk::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {  // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t end) { return static_cast<int64_t>(next() % static_cast<uint64_t>(end)); }
  double uniform(double from, double to) { return from + (to - from) * static_cast<double>(next() >> 11) * 0x1p-53; }
  bool one_in(int64_t many) { return below(many) == 0; }
  template <class T>
  T pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
  }

 private:
  uint64_t state_;
};

// Memory of exactly so many bytes: the next byte, and where it is not shifted the one before, are nobody's.
class Exact {
 public:
  explicit Exact(int64_t bytes, int64_t shift = 0)
      : block_(new char[static_cast<size_t>(bytes + shift)]), shift_(shift), size_(bytes) {}
  char* data() const { return block_.get() + shift_; }
  int64_t size() const { return size_; }

 private:
  std::unique_ptr<char[]> block_;
  int64_t shift_, size_;
};

template <DType D>
void put_code(char* to, float value) {
  const int32_t code = encode<D, float>(value);
  std::memcpy(to, &code, size_of(D));  // the low bytes
}

inline void put(DType dtype, char* to, double value) {
  const auto narrow = static_cast<float>(value);
  switch (dtype) {
    case DType::f64:
      return void(std::memcpy(to, &value, 8));
    case DType::f16:
      return put_code<DType::f16>(to, narrow);
    case DType::bf16:
      return put_code<DType::bf16>(to, narrow);
    case DType::f8_e4m3:
      return put_code<DType::f8_e4m3>(to, narrow);
    case DType::f8_e5m2:
      return put_code<DType::f8_e5m2>(to, narrow);
    default:
      return put_code<DType::f32>(to, narrow);
  }
}

// noise: as weights are. bits: every code there is. few: heavy ties. edges: zeros, subnormals, the largest, NaN.
enum class Pattern { noise, bits, few, zeros, edges };
inline constexpr const char* kPatternNames[] = {"noise", "bits", "few", "zeros", "edges"};

inline void fill(Random& random, DType dtype, Pattern pattern, const Exact& to) {
  const int size = size_of(dtype);
  if (pattern == Pattern::bits || !info(dtype).floating) {
    uint64_t code = random.next();  // of 16 bits, each comes once in 65536 elements
    for (int64_t i = 0; i < to.size() / size; ++i) {
      code = size <= 2 ? code + 40503 : random.next();
      std::memcpy(to.data() + i * size, &code, static_cast<size_t>(size));
    }
    return;
  }
  static const std::vector<double> kEdges{0.0,    -0.0,     1e-45,     -1e-40,       6e-8, 448,       65504,
                                          3.4e38, INFINITY, -INFINITY, std::nan(""), 1.0,  0x1p-1074, -1.0};
  for (int64_t i = 0; i < to.size() / size; ++i) {
    double value = random.uniform(-0.1, 0.1) * random.uniform(0, 1);
    if (pattern == Pattern::few) value = 0.25 * static_cast<double>(random.below(4)) - 0.25;
    if (pattern == Pattern::zeros) value = 0;
    if (pattern == Pattern::edges && random.one_in(3)) value = random.pick(kEdges);
    put(dtype, to.data() + i * size, value);
  }
}

}  // namespace fk::test
