// dots.hpp: one block's dot products of one tensor with each of several, in the order of summation of reduce.hpp.
#pragma once
#include "cpu/gram.hpp"

namespace fk {

struct DotCall {
  const void* left;
  DType left_dtype;
  const void* const* models;
  const DType* dtypes;
  int count;
  const void* base;  // null: the models' own values, else their deltas
  DType base_dtype;
  int64_t n;     // from the start of a block, at most to its end
  double* sums;  // count
};

// Models first to first + K, of one format with the left and the base: the sums stay in registers.
template <class V, DType D, int K, bool has_base>
FK_FN void dots_direct(const DotCall& call, int first) {
  using F = typename Lanes<lane_count<V> / 2>::V;
  using Doubles = typename Halves<V>::D;
  double lanes[K][kLanes];
  for (int lane = 0; lane < kLanes; lane += lane_count<F>) {
    Doubles sums[K] = {};
    for (int64_t i = lane; i < call.n; i += kLanes) {
      const Doubles left = to_doubles<Doubles>(load<D, F>(call.left, i));
      F base{};
      if constexpr (has_base) base = load<D, F>(call.base, i);
#pragma GCC unroll 4
      for (int k = 0; k < K; ++k) {
        const F value = load<D, F>(call.models[first + k], i);
        sums[k] += left * to_doubles<Doubles>(has_base ? F(value - base) : value);
      }
    }
    for (int k = 0; k < K; ++k) memcpy(lanes[k] + lane, &sums[k], sizeof sums[k]);
  }
  for (int k = 0; k < K; ++k) call.sums[first + k] = add_lanes(lanes[k]);
}

template <class V, DType D, int K>
FK_FN void dots_direct(const DotCall& call, int first) {
  call.base ? dots_direct<V, D, K, true>(call, first) : dots_direct<V, D, K, false>(call, first);
}

template <class V, DType D>
FK_FN bool dots_direct(const DotCall& call) {
  int k = 0;
  for (; k + 4 <= call.count; k += 4) dots_direct<V, D, 4>(call, k);
  for (; k + 2 <= call.count; k += 2) dots_direct<V, D, 2>(call, k);
  if (k < call.count) dots_direct<V, D, 1>(call, k);
  return true;
}

template <class V>
FK_FN bool try_dots_direct(const DotCall& call) {
  const DType dtype = call.left_dtype;
  for (int k = 0; k < call.count; ++k)
    if (call.dtypes[k] != dtype) return false;
  if (call.n % kLanes || (call.base && call.base_dtype != dtype)) return false;
  if (dtype == DType::bf16) return dots_direct<V, DType::bf16>(call);
  if (dtype == DType::f16) return dots_direct<V, DType::f16>(call);
  if (dtype == DType::f32) return dots_direct<V, DType::f32>(call);
  return false;
}

template <class V>
FK_FN void dots(const DotCall& call) {
  using T = Element<V>;
  if constexpr (lane_count<V> >= 8)
    if (try_dots_direct<V>(call)) return;
  T left[kRow], base[kRow], row[kRow];
  for (int k = 0; k < call.count; ++k) {
    double lanes[kLanes] = {};
    for (int64_t first = 0; first < call.n; first += kRow) {
      const int64_t n = call.n - first < kRow ? call.n - first : kRow;
      const int64_t padded = (n + kLanes - 1) / kLanes * kLanes;
      const auto decode = [&](const void* array, DType dtype, T* to) FK_INLINE_LAMBDA {
        memset(to, 0, padded * sizeof(T));
        decode_any<V>(dtype, static_cast<const char*>(array) + first * size_of(dtype), to, n);
      };
      decode(call.left, call.left_dtype, left);
      decode(call.models[k], call.dtypes[k], row);
      if (call.base) {
        decode(call.base, call.base_dtype, base);
        subtract_base<V>(base, row, padded);
      }
      add_products<V>(left, row, padded, lanes);
    }
    call.sums[k] = add_lanes(lanes);
  }
}

}  // namespace fk
