// gram.hpp: one block's dot products in 64 fixed lanes.
#pragma once
#include "cpu/reduce.hpp"
#include "cpu/span.hpp"

namespace fk {

inline constexpr int kLanes = kSumLanes;
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
      sum += to_doubles<D>(load_unaligned<F>(a + i)) * to_doubles<D>(load_unaligned<F>(b + i));
    memcpy(sums + lane, &sum, sizeof sum);
  }
}

template <class V>
FK_FN void add_row(const Element<V>* row, int64_t n, double* sums) {
  using D = typename Halves<V>::D;
  using F = typename Halves<V>::F;
  for (int lane = 0; lane < kLanes; lane += Halves<V>::count) {
    D sum = load_unaligned<D>(sums + lane);
    for (int64_t i = lane; i < n; i += kLanes) sum += to_doubles<D>(load_unaligned<F>(row + i));
    memcpy(sums + lane, &sum, sizeof sum);
  }
}

FK_FN double add_lanes(double* lanes) {
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// The base, where there is one, is taken off the models.
template <class V>
FK_FN void subtract_base(const Element<V>* base, Element<V>* row, int64_t n) {
  for (int64_t i = 0; i < n; i += lane_count<V>) {
    const V delta = load_unaligned<V>(row + i) - load_unaligned<V>(base + i);
    memcpy(row + i, &delta, sizeof delta);
  }
}

// Where all models share a common format and the lanes come out even: as many lanes at a time as doubles fill a
// register, from the block's first element to its last, so that the sums stay in registers. The order of the additions
// is that of the rows below.
template <class V, DType D, int K, bool has_base>
FK_FN void gram_direct(const GramCall& call) {
  using F = typename Lanes<lane_count<V> / 2>::V;
  using Doubles = typename Halves<V>::D;
  constexpr int width = lane_count<F>;
  double lanes[pair_count(K)][kLanes];
  for (int lane = 0; lane < kLanes; lane += width) {
    Doubles sums[pair_count(K)] = {};
    for (int64_t i = lane; i < call.n; i += kLanes) {
      F base{};
      if constexpr (has_base) base = load<D, F>(call.base, i);
      Doubles x[K];
#pragma GCC unroll 4
      for (int k = 0; k < K; ++k) {
        const F value = load<D, F>(call.models[k], i);
        x[k] = to_doubles<Doubles>(has_base ? F(value - base) : value);
      }
      int pair = 0;
#pragma GCC unroll 4
      for (int j = 0; j < K; ++j)
#pragma GCC unroll 4
        for (int k = j; k < K; ++k) sums[pair++] += x[j] * x[k];
    }
    for (int pair = 0; pair < pair_count(K); ++pair) memcpy(lanes[pair] + lane, &sums[pair], sizeof sums[pair]);
  }
  for (int pair = 0; pair < pair_count(K); ++pair) call.sums[pair] = add_lanes(lanes[pair]);
}

template <class V, DType D, int K = 4>
FK_FN bool try_gram_direct(const GramCall& call) {
  if constexpr (K > 0) {
    if (call.count != K) return try_gram_direct<V, D, K - 1>(call);
    call.base ? gram_direct<V, D, K, true>(call) : gram_direct<V, D, K, false>(call);
    return true;
  }
  return false;
}

template <class V>
FK_FN bool try_gram_direct(const GramCall& call) {
  const DType dtype = call.dtypes[0];
  for (int k = 1; k < call.count; ++k)
    if (call.dtypes[k] != dtype) return false;
  if (call.n % kLanes || (call.base && call.base_dtype != dtype)) return false;
  if (dtype == DType::bf16) return try_gram_direct<V, DType::bf16>(call);
  if (dtype == DType::f16) return try_gram_direct<V, DType::f16>(call);
  if (dtype == DType::f32) return try_gram_direct<V, DType::f32>(call);
  return false;
}

template <class V>
FK_FN void gram(const GramCall& call) {
  using T = Element<V>;
  if constexpr (lane_count<V> >= 8)
    if (try_gram_direct<V>(call)) return;
  T* const rows = static_cast<T*>(call.scratch);
  T* const base = rows + call.count * kRow;
  double* const sums =
      reinterpret_cast<double*>(static_cast<char*>(call.scratch) + (call.count + 1) * kRow * sizeof(double));
  memset(sums, 0, sizeof(double) * kLanes * pair_count(call.count));
  for (int64_t first = 0; first < call.n; first += kRow) {
    const int64_t n = call.n - first < kRow ? call.n - first : kRow;
    const int64_t padded = (n + kLanes - 1) / kLanes * kLanes;
    const auto decode = [&](const void* array, DType dtype, T* row) FK_INLINE_LAMBDA {
      memset(row, 0, padded * sizeof(T));
      decode_any<V>(dtype, static_cast<const char*>(array) + first * size_of(dtype), row, n);
    };
    if (call.base) decode(call.base, call.base_dtype, base);
    for (int k = 0; k < call.count; ++k) {
      decode(call.models[k], call.dtypes[k], rows + k * kRow);
      if (call.base) subtract_base<V>(base, rows + k * kRow, padded);
    }
    double* pair = sums;
    for (int j = 0; j < call.count; ++j)
      for (int k = j; k < call.count; ++k, pair += kLanes)
        add_products<V>(rows + j * kRow, rows + k * kRow, padded, pair);
  }
  for (int pair = 0; pair < pair_count(call.count); ++pair) call.sums[pair] = add_lanes(sums + pair * kLanes);
}

}  // namespace fk
