// fold.hpp: run a fold method over one span of a tensor on one core.
//
// Two ways in, with the same bits out. Where base, models and output share one common format, elements go from memory
// to registers and back. Any other mix is first decoded, block by block, into rows of the compute type that fit the
// first-level cache. The number of models is a compile-time constant up to four, so that the deltas stay in registers.
#pragma once
#include "cpu/fold_access.hpp"

namespace fk {

// What a step sees of model k at element i: its value, or what is kept of its delta.
template <class M, class V, int part, class Source>
FK_FN V load_term(const Source& source, int k, int64_t i, const V& base) {
  if constexpr (M::info.space == Space::weight) return source.template load_model<part>(k, i);
  const V delta = source.template load_model<part>(k, i) - base;
  if constexpr (is_masked(sparsifier_of<M>()))
    return select(source.template keep<part>(k, i), delta, splat<V>(0));
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

// One element, or as many as there are lanes, by the steps of S: the method M itself, or what it comes to in the usual
// case. K = 0 takes the number of models from the call and reads them again each round.
template <class M, class S, class V, int K>
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
      S::template step<0, true>(state, term[0], own[0], shared);
#pragma GCC unroll 8
      for (int k = 1; k < K; ++k) S::template step<0, false>(state, term[k], own[k], shared);
      if constexpr (M::rounds > 1) {
        S::template step<1, true>(state, term[0], own[0], shared);
#pragma GCC unroll 8
        for (int k = 1; k < K; ++k) S::template step<1, false>(state, term[k], own[k], shared);
      }
    } else {
      S::template step<0, true>(state, x(0), models[0], shared);
      for (int k = 1; k < count; ++k) S::template step<0, false>(state, x(k), models[k], shared);
      if constexpr (M::rounds > 1) {
        S::template step<1, true>(state, x(0), models[0], shared);
        for (int k = 1; k < count; ++k) S::template step<1, false>(state, x(k), models[k], shared);
      }
    }
    return S::finish(state, shared);
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

// Elements first to last, a multiple of the vectors that the source takes at a time.
template <class M, class S, class V, int K, class Source, class Sink>
FK_FN Sink fold_lanes(const FoldCall& call, const Source& source, Sink sink, int64_t first, int64_t last) {
  constexpr bool is_delta = M::info.space == Space::delta;
  const auto shared = *static_cast<const typename M::template Shared<Element<V>>*>(call.shared_parameters);
  const std::conditional_t<is_combination<M>, Combination<M, V, K>, Steps<M, S, V, K>> merge(call);
  const auto merged = [&]<int part>(int64_t i) FK_INLINE_LAMBDA {
    V base{};
    if constexpr (is_delta) base = source.template load_base<part>(i);
    const auto x = [&](int k) FK_INLINE_LAMBDA { return load_term<M, V, part>(source, k, i, base); };
    const V result = merge(x, call.count, shared);
    return is_delta ? V(base + result) : result;
  };
  for (int64_t i = first; i < last; i += Source::parts * lane_count<V>) {
    V value[Source::parts];
    value[0] = merged.template operator()<0>(i);
    if constexpr (Source::parts == 2) value[1] = merged.template operator()<1>(i);
    sink.put(i, value);
  }
  return sink;
}

namespace {  // as decode_any() is, and called for the elements that whole vectors leave over

template <class M, class V, int K>
__attribute__((noinline, unused)) int64_t fold_rows(const FoldCall& call, int64_t first, int64_t last) {
  using T = Element<V>;
  constexpr bool is_delta = M::info.space == Space::delta;
  constexpr int W = lane_count<V>;
  T* const rows = static_cast<T*>(call.scratch);
  T* const result = rows + (call.count + 1) * kFoldBlock;
  const auto at = [](const void* array, DType dtype, int64_t i) {
    return static_cast<const char*>(array) + i * size_of(dtype);
  };
  IntOf<T> peak = 0;
  for (int64_t i = first; i < last; i += kFoldBlock) {
    const int64_t n = last - i < kFoldBlock ? last - i : kFoldBlock;
    if constexpr (is_delta) decode_any<V>(call.base_dtype, at(call.base, call.base_dtype, i), rows, n);
    for (int k = 0; k < call.count; ++k)
      decode_any<V>(call.dtypes[k], at(call.models[k], call.dtypes[k], i), rows + (k + 1) * kFoldBlock, n);
    fold_lanes<M, M, V, K>(call, RowSource<V>{rows, call, i}, RowSink<V>{result}, 0, (n + W - 1) / W * W);
    char* const out = static_cast<char*>(call.out) + i * size_of(call.out_dtype);
    peak = larger(peak, encode_any<V>(call.out_dtype, result, out, n));
  }
  return peak;
}

}  // namespace

// What goes past the caches goes in whole registers that lie in place: the elements before the first such place are
// folded apart. Masks are read by whole bytes from the start, so a masked result must lie in place already.
template <class V, DType D>
FK_FN int64_t elements_before_streaming(const FoldCall& call) {
  constexpr uintptr_t step = lane_count<V> * kParts<D> * size_of(D);
  const uintptr_t behind = reinterpret_cast<uintptr_t>(call.out) % step;
  if (behind % size_of(D) || (behind && call.keep)) return call.n;  // never in place
  return behind ? static_cast<int64_t>(step - behind) / size_of(D) : 0;
}

template <class M, class S, class V, int K, DType D>
FK_FN int64_t fold_direct(const FoldCall& call) {
  constexpr int W = lane_count<V> * kParts<D>;
  const int64_t before = call.streamed ? elements_before_streaming<V, D>(call) : 0;
  const bool streamed = call.streamed && before < call.n;
  const int64_t first = streamed ? before : 0, last = first + (call.n - first) / W * W;
  int64_t peak = first > 0 ? fold_rows<M, V, K>(call, 0, first) : 0;
  const auto sink = fold_lanes<M, S, V, K>(call, DirectSource<V, D, K>(call),
                                           DirectSink<V, D>{static_cast<char*>(call.out), streamed}, first, last);
  if (streamed) streamed_stores_done();
  if (last < call.n) peak = larger<int64_t>(peak, fold_rows<M, V, K>(call, last, call.n));
  for (int lane = 0; lane < lane_count<V>; ++lane) peak = larger<int64_t>(peak, sink.peak[lane]);
  return peak > kInfinityBits<float> ? fold_rows<M, V, K>(call, 0, call.n) : peak;  // it takes care of NaN
}

inline bool one_format(const FoldCall& call) {
  for (int k = 0; k < call.count; ++k)
    if (call.dtypes[k] != call.out_dtype) return false;
  return !call.base || call.base_dtype == call.out_dtype;
}

template <class M, class S, class V, int K>
FK_FN int64_t fold_stored(const FoldCall& call) {
  if (call.out_dtype == DType::bf16) return fold_direct<M, S, V, K, DType::bf16>(call);
  if (call.out_dtype == DType::f16) return fold_direct<M, S, V, K, DType::f16>(call);
  if (call.out_dtype == DType::f32) return fold_direct<M, S, V, K, DType::f32>(call);
  return fold_rows<M, V, K>(call, 0, call.n);
}

template <class M, class T>
FK_FN bool is_usual(const FoldCall& call) {
  return M::is_usual(static_cast<const typename M::template Model<T>*>(call.model_parameters), call.count,
                     *static_cast<const typename M::template Shared<T>*>(call.shared_parameters));
}

template <class M, class V, int K>
FK_FN int64_t fold_models(const FoldCall& call) {
  if constexpr (!is_scalar<V> && K > 0) {
    if (one_format(call)) {
      if constexpr (has_usual_case<M>)
        if (is_usual<M, Element<V>>(call)) return fold_stored<M, typename M::Usual, V, K>(call);
      return fold_stored<M, M, V, K>(call);
    }
  }
  return fold_rows<M, V, K>(call, 0, call.n);
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
