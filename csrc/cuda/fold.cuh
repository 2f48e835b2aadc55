// fold.cuh: run a fold method over many tensors in one launch, eight elements a thread.
//
// The tensors' tables lie in device memory, so that what a pass before has found there (where to cut, how much to
// rescale) is read where it was written, and the host never waits for it.
#pragma once
#include "core/method.hpp"
#include "cuda/draws.cuh"
#include "cuda/lanes.cuh"
#include "cuda/launch.cuh"

namespace fk::cuda {

// The tensor a chunk belongs to, or what else is numbered tensor after tensor.
template <auto first = 0, class Tensor>
__device__ __forceinline__ const Tensor& tensor_of(const Tensor* tensors, int count, int64_t chunk) {
  int low = 0;
  for (int width = count; width > 1;) {
    const int half = width / 2;
    int64_t begin;
    if constexpr (std::is_same_v<decltype(first), int>)
      begin = tensors[low + half].first_chunk;
    else
      begin = tensors[low + half].*first;
    if (begin <= chunk) low += half;
    width -= half;
  }
  return tensors[low];
}

template <class T>
FK_FN IntOf<T> limit_at(const Limit& limit, int64_t element) {
  return static_cast<IntOf<T>>(element <= limit.last ? limit.before : limit.after);
}

// Model k's parameters as step() takes them, but for what depends on the element.
template <class M, class T>
__device__ __forceinline__ typename M::template Model<T> parameters_of(const FoldTensor& tensor, int k) {
  if constexpr (is_rescaled<M>) {
    typename M::template Model<T> model;
    M::rescaled(static_cast<const typename M::template Model<double>*>(tensor.parameters)[k],
                tensor.factors ? tensor.factors[k] : 1.0, model);
    return model;
  } else {
    return static_cast<const typename M::template Model<T>*>(tensor.parameters)[k];
  }
}

template <class M, class T>
__device__ __forceinline__ void set_limits(typename M::template Model<T>& model, const FoldTensor& tensor, int k,
                                           int64_t element) {
  if constexpr (trims(sparsifier_of<M>()))
    if (tensor.above) model.above = limit_at<T>(tensor.above[k], element);
  if constexpr (sparsifier_of<M>() == Sparsifier::band)
    if (tensor.ceiling) model.ceiling = limit_at<T>(tensor.ceiling[k], element);
}

// Which of eight deltas of a masked method are kept.
template <class M>
__device__ __forceinline__ uint32_t kept_eight(const FoldModel& model, int64_t i, int64_t first) {
  if constexpr (!is_masked(sparsifier_of<M>())) return 0xff;
  if (model.keep) return model.keep[i / kEight];
  return keep_eight(model.key, (first + i) / kEight, model.below);
}

// What step() sees of model k: eight values, or what is kept of eight deltas.
template <class M, class T, int F>
__device__ __forceinline__ void load_terms(const FoldTensor& tensor, int k, int64_t i, const T (&base)[kEight],
                                           T (&terms)[kEight]) {
  const FoldModel& model = tensor.models[k];
  load_eight<F>(model.array, i, tensor.n, terms);
  if constexpr (M::info.space == Space::delta) {
    const uint32_t kept = kept_eight<M>(model, i, tensor.first);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) {
      terms[j] = terms[j] - base[j];
      if constexpr (is_masked(sparsifier_of<M>())) terms[j] = kept >> j & 1 ? terms[j] : T(0);
    }
  }
}

template <class M, int Round, class T>
__device__ __forceinline__ void step_eight(typename M::template State<T> (&states)[kEight], const T (&terms)[kEight],
                                           int k, typename M::template Model<T> model, const FoldTensor& tensor,
                                           int64_t i, const typename M::template Shared<T>& shared) {
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) {
    set_limits<M, T>(model, tensor, k, tensor.first + i + j);
    k == 0 ? M::template step<Round, true>(states[j], terms[j], model, shared)
           : M::template step<Round, false>(states[j], terms[j], model, shared);
  }
}

// K models, or as many as the tensor says where K is 0: they are then read again each round.
template <class M, class T, int F, int K>
__device__ __forceinline__ void merge_eight(const FoldTensor& tensor, int64_t i, const T (&base)[kEight],
                                            T (&merged)[kEight]) {
  const auto& shared = *static_cast<const typename M::template Shared<T>*>(tensor.shared);
  typename M::template State<T> states[kEight];
  if constexpr (K > 0) {
    T terms[K][kEight];
    FK_UNROLL
    for (int k = 0; k < K; ++k) load_terms<M, T, F>(tensor, k, i, base, terms[k]);
    typename M::template Model<T> models[K];
    FK_UNROLL
    for (int k = 0; k < K; ++k) models[k] = parameters_of<M, T>(tensor, k);
    FK_UNROLL
    for (int k = 0; k < K; ++k) step_eight<M, 0>(states, terms[k], k, models[k], tensor, i, shared);
    if constexpr (M::rounds > 1) {
      FK_UNROLL
      for (int k = 0; k < K; ++k) step_eight<M, 1>(states, terms[k], k, models[k], tensor, i, shared);
    }
  } else {
    T terms[kEight];
    for (int k = 0; k < tensor.count; ++k) {
      load_terms<M, T, F>(tensor, k, i, base, terms);
      step_eight<M, 0>(states, terms, k, parameters_of<M, T>(tensor, k), tensor, i, shared);
    }
    if constexpr (M::rounds > 1) {
      for (int k = 0; k < tensor.count; ++k) {
        load_terms<M, T, F>(tensor, k, i, base, terms);
        step_eight<M, 1>(states, terms, k, parameters_of<M, T>(tensor, k), tensor, i, shared);
      }
    }
  }
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) merged[j] = M::finish(states[j], shared);
}

template <class M, class T, int F, int K>
__device__ __forceinline__ void combine_eight(const FoldTensor& tensor, int64_t i, T (&merged)[kEight]) {
  const auto& shared = *static_cast<const typename M::template Shared<T>*>(tensor.shared);
  if constexpr (K > 0) {
    T values[K][kEight];
    FK_UNROLL
    for (int k = 0; k < K; ++k) load_eight<F>(tensor.models[k].array, i, tensor.n, values[k]);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) merged[j] = M::template combine<T>([&](int k) { return values[k][j]; }, K, shared);
  } else {
    for (int j = 0; j < kEight && i + j < tensor.n; ++j)
      merged[j] = M::template combine<T>([&](int k) { return load_one<T>(tensor.models[k].array, i + j); },
                                         tensor.count, shared);
  }
}

// Returns the largest magnitude of the results, as bits.
template <class M, class T, int F, int K>
__device__ __forceinline__ IntOf<T> fold_eight(const FoldTensor& tensor, int64_t i) {
  constexpr bool is_delta = M::info.space == Space::delta;
  T base[kEight] = {}, merged[kEight] = {};
  if constexpr (is_delta) load_eight<F>(tensor.base, i, tensor.n, base);
  if constexpr (is_combination<M>)
    combine_eight<M, T, F, K>(tensor, i, merged);
  else
    merge_eight<M, T, F, K>(tensor, i, base, merged);
  IntOf<T> peak = 0;
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) {
    if constexpr (is_delta) merged[j] = base[j] + merged[j];
    const IntOf<T> magnitude = i + j < tensor.n ? magnitude_bits(merged[j]) : 0;
    peak = magnitude > peak ? magnitude : peak;
  }
  const bool whole = tensor.out.aligned && i + kEight <= tensor.n;
  with_format<F>(tensor.out.dtype,
                 [&]<DType D>() { store_eight<D, T>(const_cast<void*>(tensor.out.data), i, tensor.n, whole, merged); });
  return peak;
}

template <class M, class T, int F, int K>
__global__ void __launch_bounds__(kThreads, resident_blocks(K)) fold_kernel(FoldBatch batch) {
  for (int64_t chunk = blockIdx.x; chunk < batch.chunks; chunk += gridDim.x) {
    const FoldTensor& tensor = tensor_of(batch.tensors, batch.count, chunk);
    const int64_t start = (chunk - tensor.first_chunk) * kChunk;
    const int64_t end = start + kChunk < tensor.n ? start + kChunk : tensor.n;
    IntOf<T> peak = 0;
    for (int64_t i = start + int64_t(threadIdx.x) * kEight; i < end; i += kThreads * kEight) {
      const IntOf<T> found = fold_eight<M, T, F, K>(tensor, i);
      peak = found > peak ? found : peak;
    }
    if (tensor.peak && peak > 0 && static_cast<unsigned long long>(peak) > *tensor.peak)
      atomicMax(tensor.peak, static_cast<unsigned long long>(peak));
  }
}

template <class M, class T, int F>
void launch_fold_of(const FoldKind& kind, const FoldBatch& batch, const Queue& queue) {
  const auto run = [&](auto* kernel) {
    launch(kernel, dim3(blocks_for(batch.chunks, queue)), dim3(kThreads), queue.stream, batch);
  };
  switch (kind.count) {
    case 1:
      return run(fold_kernel<M, T, F, 1>);
    case 2:
      return run(fold_kernel<M, T, F, 2>);
    case 3:
      return run(fold_kernel<M, T, F, 3>);
    case 4:
      return run(fold_kernel<M, T, F, 4>);
    default:
      return run(fold_kernel<M, T, F, 0>);
  }
}

// The common case, bf16 throughout, has kernels of its own; other and mixed formats share the general ones, and double
// those for any number of models.
template <class M>
void launch_fold(const FoldKind& kind, const FoldBatch& batch, const Queue& queue) {
  if (kind.f64)
    launch(fold_kernel<M, double, kAnyFormat, 0>, dim3(blocks_for(batch.chunks, queue)), dim3(kThreads), queue.stream,
           batch);
  else if (kind.format == static_cast<int>(DType::bf16))
    launch_fold_of<M, float, static_cast<int>(DType::bf16)>(kind, batch, queue);
  else
    launch_fold_of<M, float, kAnyFormat>(kind, batch, queue);
}

}  // namespace fk::cuda
