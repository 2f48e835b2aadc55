// fold.cuh: a fold method over one tensor, an element a thread: compiled today to keep the methods fit for a GPU.
#pragma once
#include "core/formats.hpp"
#include "core/method.hpp"
#include "cuda/launch.cuh"

namespace fk::cuda {

struct FoldArguments {
  const uint16_t* base;
  const uint16_t* const* models;
  uint16_t* out;
  int64_t n;
  int count;
  const void* model_parameters;
  const void* shared_parameters;
};

template <class M, int Round>
__device__ void walk(typename M::template State<float>& state, float base, const FoldArguments& call, int64_t i) {
  constexpr bool is_delta = M::info.space == Space::delta;
  const auto* models = static_cast<const typename M::template Model<float>*>(call.model_parameters);
  const auto& shared = *static_cast<const typename M::template Shared<float>*>(call.shared_parameters);
  const auto x = [&](int k) {
    const float value = decode<DType::bf16, float>(call.models[k][i]);
    return is_delta ? value - base : value;
  };
  M::template step<Round, true>(state, x(0), models[0], shared);
  for (int k = 1; k < call.count; ++k) M::template step<Round, false>(state, x(k), models[k], shared);
  if constexpr (Round + 1 < M::rounds) walk<M, Round + 1>(state, base, call, i);
}

template <class M>
__global__ void fold_kernel(FoldArguments call) {
  constexpr bool is_delta = M::info.space == Space::delta;
  const auto& shared = *static_cast<const typename M::template Shared<float>*>(call.shared_parameters);
  const int64_t stride = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < call.n; i += stride) {
    const float base = is_delta ? decode<DType::bf16, float>(call.base[i]) : 0.0f;
    float merged;
    if constexpr (is_combination<M>) {
      merged = M::template combine<float>([&](int k) { return decode<DType::bf16, float>(call.models[k][i]); },
                                          call.count, shared);
    } else {
      typename M::template State<float> state;
      walk<M, 0>(state, base, call, i);
      merged = M::finish(state, shared);
    }
    call.out[i] = uint16_t(encode<DType::bf16, float>(is_delta ? base + merged : merged));
  }
}

template <class M>
void fold(const FoldArguments& call, cudaStream_t stream) {
  launch(fold_kernel<M>, dim3(1024), dim3(256), stream, call);
}

}  // namespace fk::cuda
