// fold.hpp: run a fold method over one span of a tensor on one core.
//
// Two ways in, with the same bits out. Where base, models and output share one common format, elements go from memory
// to registers and back. Any other mix is first decoded, block by block, into rows of the compute type that fit the
// first-level cache. The number of models is a compile-time constant up to four, so that the deltas stay in registers.
#pragma once
#include "core/method.hpp"
#include "cpu/span.hpp"

namespace fk {

struct FoldCall {
  const void* base;  // null when the method ignores it
  DType base_dtype;
  const void* const* models;
  const DType* dtypes;
  int count;
  void* out;
  DType out_dtype;
  int64_t n;
  const void* model_parameters;          // M::Model<T>[count], T the compute type
  const void* shared_parameters;         // M::Shared<T>
  void* scratch;                         // fold_scratch_bytes(count)
  const uint8_t* const* keep = nullptr;  // of a masked method: bit i of keep[k] says whether model k's delta i counts
};
using FoldFunction = int64_t (*)(const FoldCall&);  // the largest magnitude of the result, as bits of the compute type

inline constexpr int64_t kFoldBlock = 512;
inline constexpr int64_t kModelBytes = 8 * 64;  // a model's parameters, up to eight numbers in the widest lanes
constexpr int64_t fold_scratch_bytes(int count) {
  return (count + 2) * kFoldBlock * int64_t(sizeof(double)) + count * kModelBytes;
}

// Rows of the compute type: row 0 is the base, row 1 + k model k.
template <class V>
struct RowSource {
  const Element<V>* rows;
  const FoldCall& call;
  int64_t first;  // of the rows, in the call
  FK_FN V load_base(int64_t i) const { return load_unaligned<V>(rows + i); }
  FK_FN V load_model(int k, int64_t i) const { return load_unaligned<V>(rows + (k + 1) * kFoldBlock + i); }
  FK_FN Mask<V> keep(int k, int64_t i) const { return lane_mask<V>(call.keep[k], first + i); }
};
template <class V>
struct RowSink {
  Element<V>* row;
  FK_FN void put(int64_t i, const V& value) { memcpy(row + i, &value, sizeof value); }
};

// Stored elements, all of format D.
template <class V, DType D>
struct DirectSource {
  const FoldCall& call;
  FK_FN V load_base(int64_t i) const { return load<D, V>(call.base, i); }
  FK_FN V load_model(int k, int64_t i) const { return load<D, V>(call.models[k], i); }
  FK_FN Mask<V> keep(int k, int64_t i) const { return lane_mask<V>(call.keep[k], i); }
};
template <class V, DType D>
struct DirectSink {
  void* out;
  Int<V> peak{};
  FK_FN void put(int64_t i, const V& value) {
    peak = larger<Int<V>>(peak, bits_as<Int<V>>(value) & INT32_MAX);
    store_numbers<D, V>(out, i, value);
  }
};

// What a step sees of model k at element i: its value, or what is kept of its delta.
template <class M, class V, class Source>
FK_FN V load_term(const Source& source, int k, int64_t i, const V& base) {
  if constexpr (M::info.space == Space::weight) return source.load_model(k, i);
  const V delta = source.load_model(k, i) - base;
  if constexpr (is_masked(sparsifier_of<M>()))
    return select(source.keep(k, i), delta, splat<V>(0));
  else
    return delta;
}

// The models' parameters spread over the lanes: once a call, not once an element.
template <class M, class V>
using WideModel = typename M::template Model<V>;
template <class M, class V>
FK_FN const WideModel<M, V>* spread_models(const FoldCall& call) {
  static_assert(sizeof(WideModel<M, V>) <= kModelBytes);
  const auto* narrow = static_cast<const typename M::template Model<Element<V>>*>(call.model_parameters);
  char* const wide = static_cast<char*>(call.scratch) + (call.count + 2) * kFoldBlock * int64_t(sizeof(double));
  for (int k = 0; k < call.count; ++k) {
    const auto model = splat_struct<V, WideModel<M, V>>(narrow[k]);
    memcpy(wide + k * sizeof model, &model, sizeof model);
  }
  return reinterpret_cast<const WideModel<M, V>*>(wide);
}

// One element, or as many as there are lanes. K = 0 takes the number of models from the call and reads them again each
// round.
template <class M, class V, int K>
struct Steps {
  using Shared = typename M::template Shared<Element<V>>;
  const WideModel<M, V>* models;
  WideModel<M, V> own[K > 0 ? K : 1];  // copies that nothing else can point at: a store would force re-reading

  FK_FN explicit Steps(const FoldCall& call) : models(spread_models<M, V>(call)) {
    for (int k = 0; k < K; ++k) own[k] = models[k];
  }

  template <class X>
  FK_FN V operator()(const X& x, int count, const Shared& shared) const {
    typename M::template State<V> state;
    if constexpr (K > 0) {
      V term[K];
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) term[k] = x(k);
      M::template step<0, true>(state, term[0], own[0], shared);
#pragma GCC unroll 8
      for (int k = 1; k < K; ++k) M::template step<0, false>(state, term[k], own[k], shared);
      if constexpr (M::rounds > 1) {
        M::template step<1, true>(state, term[0], own[0], shared);
#pragma GCC unroll 8
        for (int k = 1; k < K; ++k) M::template step<1, false>(state, term[k], own[k], shared);
      }
    } else {
      M::template step<0, true>(state, x(0), models[0], shared);
      for (int k = 1; k < count; ++k) M::template step<0, false>(state, x(k), models[k], shared);
      if constexpr (M::rounds > 1) {
        M::template step<1, true>(state, x(0), models[0], shared);
        for (int k = 1; k < count; ++k) M::template step<1, false>(state, x(k), models[k], shared);
      }
    }
    return M::finish(state, shared);
  }
};

template <class M, class V, int K>
struct Combination {
  FK_FN explicit Combination(const FoldCall&) {}
  template <class X>
  FK_FN V operator()(const X& x, int count, const typename M::template Shared<Element<V>>& shared) const {
    if constexpr (K > 0) {
      V value[K];
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) value[k] = x(k);
      return M::template combine<V>([&](int k) FK_INLINE_LAMBDA { return value[k]; }, K, shared);
    } else {
      return M::template combine<V>(x, count, shared);
    }
  }
};

// n must be a multiple of the lanes.
template <class M, class V, int K, class Source, class Sink>
FK_FN void fold_lanes(const FoldCall& call, const Source& source, Sink& sink, int64_t n) {
  constexpr bool is_delta = M::info.space == Space::delta;
  const auto shared = *static_cast<const typename M::template Shared<Element<V>>*>(call.shared_parameters);
  const std::conditional_t<is_combination<M>, Combination<M, V, K>, Steps<M, V, K>> merge(call);
  for (int64_t i = 0; i < n; i += lane_count<V>) {
    V base{};
    if constexpr (is_delta) base = source.load_base(i);
    const auto x = [&](int k) FK_INLINE_LAMBDA { return load_term<M, V>(source, k, i, base); };
    const V merged = merge(x, call.count, shared);
    sink.put(i, is_delta ? V(base + merged) : merged);
  }
}

template <class M, class V, int K>
FK_FN int64_t fold_rows(const FoldCall& call, int64_t first) {
  using T = Element<V>;
  constexpr bool is_delta = M::info.space == Space::delta;
  constexpr int W = lane_count<V>;
  T* const rows = static_cast<T*>(call.scratch);
  T* const result = rows + (call.count + 1) * kFoldBlock;
  const auto at = [](const void* array, DType dtype, int64_t i) {
    return static_cast<const char*>(array) + i * size_of(dtype);
  };
  IntOf<T> peak = 0;
  for (int64_t i = first; i < call.n; i += kFoldBlock) {
    const int64_t n = call.n - i < kFoldBlock ? call.n - i : kFoldBlock;
    if constexpr (is_delta) decode_any<V>(call.base_dtype, at(call.base, call.base_dtype, i), rows, n);
    for (int k = 0; k < call.count; ++k)
      decode_any<V>(call.dtypes[k], at(call.models[k], call.dtypes[k], i), rows + (k + 1) * kFoldBlock, n);
    RowSink<V> sink{result};
    fold_lanes<M, V, K>(call, RowSource<V>{rows, call, i}, sink, (n + W - 1) / W * W);
    char* const out = static_cast<char*>(call.out) + i * size_of(call.out_dtype);
    peak = larger(peak, encode_any<V>(call.out_dtype, result, out, n));
  }
  return peak;
}

template <class M, class V, int K, DType D>
FK_FN int64_t fold_direct(const FoldCall& call) {
  constexpr int W = lane_count<V>;
  DirectSink<V, D> sink{call.out};
  const int64_t whole = call.n / W * W;
  fold_lanes<M, V, K>(call, DirectSource<V, D>{call}, sink, whole);
  int64_t peak = whole < call.n ? fold_rows<M, V, K>(call, whole) : 0;
  for (int lane = 0; lane < W; ++lane) peak = sink.peak[lane] > peak ? sink.peak[lane] : peak;
  return peak > kInfinityBits<float> ? fold_rows<M, V, K>(call, 0) : peak;  // it takes care of NaN
}

inline bool one_format(const FoldCall& call) {
  for (int k = 0; k < call.count; ++k)
    if (call.dtypes[k] != call.out_dtype) return false;
  return !call.base || call.base_dtype == call.out_dtype;
}

template <class M, class V, int K>
FK_FN int64_t fold_models(const FoldCall& call) {
  if constexpr (!is_scalar<V> && K > 0) {
    if (one_format(call)) {
      if (call.out_dtype == DType::bf16) return fold_direct<M, V, K, DType::bf16>(call);
      if (call.out_dtype == DType::f16) return fold_direct<M, V, K, DType::f16>(call);
      if (call.out_dtype == DType::f32) return fold_direct<M, V, K, DType::f32>(call);
    }
  }
  return fold_rows<M, V, K>(call, 0);
}

template <class M, class V>
FK_FN int64_t fold(const FoldCall& call) {
  if constexpr (!is_scalar<V>) {
    switch (call.count) {
      case 1:
        return fold_models<M, V, 1>(call);
      case 2:
        return fold_models<M, V, 2>(call);
      case 3:
        return fold_models<M, V, 3>(call);
      case 4:
        return fold_models<M, V, 4>(call);
      default:
        break;
    }
    if constexpr (is_combination<M>) {
      switch (call.count) {
        case 5:
          return fold_models<M, V, 5>(call);
        case 6:
          return fold_models<M, V, 6>(call);
        case 7:
          return fold_models<M, V, 7>(call);
        case 8:
          return fold_models<M, V, 8>(call);
        default:
          break;
      }
    }
  }
  return fold_models<M, V, 0>(call);
}

}  // namespace fk
