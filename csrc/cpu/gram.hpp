// gram.hpp: one block's dot products in 64 fixed lanes.
#pragma once
#include "cpu/reduce.hpp"
#include "cpu/span.hpp"

namespace fk {

inline constexpr int kLanes = 64;
inline constexpr int64_t kRow = 512;

// As many doubles as fill a register, and the floats they are made from.
template <class V>
struct Halves {
  static constexpr int count = lane_count<V> > 1 ? lane_count<V> / 2 : 1;
  typedef double D __attribute__((vector_size(8 * count)));
  typedef Element<V> F __attribute__((vector_size(sizeof(Element<V>) * count)));
};

// Adds the products of two rows of n elements (a multiple of 64) to 64 sums.
template <class V>
FK_FN void add_products(const Element<V>* a, const Element<V>* b, int64_t n, double* sums) {
  using D = typename Halves<V>::D;
  using F = typename Halves<V>::F;
  for (int lane = 0; lane < kLanes; lane += Halves<V>::count) {
    D sum = load_unaligned<D>(sums + lane);
    for (int64_t i = lane; i < n; i += kLanes)
      sum +=
          __builtin_convertvector(load_unaligned<F>(a + i), D) * __builtin_convertvector(load_unaligned<F>(b + i), D);
    memcpy(sums + lane, &sum, sizeof sum);
  }
}

template <class V>
FK_FN void gram(const GramCall& call) {
  using T = Element<V>;
  T* const rows = static_cast<T*>(call.scratch);
  double* const sums = reinterpret_cast<double*>(static_cast<char*>(call.scratch) + call.count * kRow * sizeof(double));
  memset(sums, 0, sizeof(double) * kLanes * pair_count(call.count));
  for (int64_t first = 0; first < call.n; first += kRow) {
    const int64_t n = call.n - first < kRow ? call.n - first : kRow;
    const int64_t padded = (n + kLanes - 1) / kLanes * kLanes;
    for (int k = 0; k < call.count; ++k) {
      T* const row = rows + k * kRow;
      memset(row, 0, padded * sizeof(T));
      decode_any<V>(call.dtypes[k], static_cast<const char*>(call.models[k]) + first * size_of(call.dtypes[k]), row, n);
    }
    double* pair = sums;
    for (int j = 0; j < call.count; ++j)
      for (int k = j; k < call.count; ++k, pair += kLanes)
        add_products<V>(rows + j * kRow, rows + k * kRow, padded, pair);
  }
  for (int pair = 0; pair < pair_count(call.count); ++pair) {
    double* const lanes = sums + pair * kLanes;
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    call.sums[pair] = lanes[0];
  }
}
}  // namespace fk
