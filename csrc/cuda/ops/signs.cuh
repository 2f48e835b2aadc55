// signs.cuh: folds whose results are signs, and the fold that follows signs given: a byte an element.
#pragma once
#include "core/gram_fold.hpp"
#include "cuda/fold.cuh"
#include "cuda/ops/kernels.hpp"
#include "ops/agreement.hpp"
#include "ops/votes.hpp"

namespace fk::cuda {

template <class T>
FK_FN int sign_of(const T& value) {
  return (value > 0) - (value < 0);
}

// Eight signs, of an array of n; `whole`: they exist and lie on a boundary of 8 bytes.
template <class T>
__device__ __forceinline__ void store_signs(int8_t* signs, int64_t i, int64_t n, bool whole,
                                            const T (&values)[kEight]) {
  signs = in_global_memory(signs);
  if (whole) {
    uint32_t words[2] = {};
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) words[j / 4] |= uint32_t(uint8_t(sign_of(values[j]))) << j % 4 * 8;
    store_word(reinterpret_cast<uint2*>(signs + i), uint2{words[0], words[1]});
  } else {
    FK_UNROLL
    for (int j = 0; j < kEight; ++j)
      if (i + j < n) signs[i + j] = int8_t(sign_of(values[j]));
  }
}

template <class T>
__device__ __forceinline__ void load_signs(const int8_t* signs, int64_t i, int64_t n, bool whole, T (&values)[kEight]) {
  int8_t codes[kEight] = {};
  signs = in_global_memory(signs);
  if (whole) {
    const uint2 word = *reinterpret_cast<const uint2*>(signs + i);
    memcpy(codes, &word, sizeof codes);
  } else {
    FK_UNROLL
    for (int j = 0; j < kEight; ++j)
      if (i + j < n) codes[j] = signs[i + j];
  }
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) values[j] = T(sign_of(codes[j]));
}

// Calls visit(tensor, i) for every eight elements of the batch.
template <class Visit>
__device__ __forceinline__ void for_each_eight(const FoldBatch& batch, Visit&& visit) {
  for (int64_t chunk = blockIdx.x; chunk < batch.chunks; chunk += gridDim.x) {
    const FoldTensor& tensor = tensor_of(batch.tensors, batch.count, chunk);
    const int64_t start = (chunk - tensor.first_chunk) * kChunk;
    const int64_t end = start + kChunk < tensor.n ? start + kChunk : tensor.n;
    for (int64_t i = start + int64_t(threadIdx.x) * kEight; i < end; i += kThreads * kEight) visit(tensor, i);
  }
}

// The signs of what fold M makes of K models, or of as many as there are where K is 0.
template <class M, class T, int K>
__global__ void __launch_bounds__(kThreads) elect_kernel(FoldBatch batch) {
  for_each_eight(batch, [&](const FoldTensor& tensor, int64_t i) {
    const T base[kEight] = {};
    T elected[kEight];
    merge_eight<M, T, kAnyFormat, K>(tensor, i, base, elected);
    const bool whole = tensor.out.aligned && i + kEight <= tensor.n;
    store_signs(static_cast<int8_t*>(const_cast<void*>(tensor.out.data)), i, tensor.n, whole, elected);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) agree_kernel(FoldBatch batch, const int8_t* signs, bool aligned) {
  for_each_eight(batch, [&](const FoldTensor& tensor, int64_t i) {
    const auto& shared = *static_cast<const Agreement::Shared<T>*>(tensor.shared);
    const T base[kEight] = {};
    T terms[kEight];
    Agreement::State<T> states[kEight];
    load_signs(signs, i, tensor.n, aligned && i + kEight <= tensor.n, terms);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) Agreement::step<0, true, T>(states[j], terms[j], {}, shared);
    for (int k = 0; k < tensor.count; ++k) {
      load_terms<Agreement, T, kAnyFormat>(tensor, k, i, base, terms);
      const auto model = parameters_of<Agreement, T>(tensor, k);
      FK_UNROLL
      for (int j = 0; j < kEight; ++j) Agreement::step<0, false, T>(states[j], terms[j], model, shared);
    }
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) terms[j] = Agreement::finish(states[j], shared);
    const bool whole = tensor.out.aligned && i + kEight <= tensor.n;
    with_format<kAnyFormat>(tensor.out.dtype, [&]<DType D>() {
      store_eight<D, T>(const_cast<void*>(tensor.out.data), i, tensor.n, whole, terms);
    });
  });
}

}  // namespace fk::cuda
