// lanes.cuh: eight neighbouring elements of a thread: 16-byte loads and stores of any format.
#pragma once
#include <cuda_runtime.h>

#include "core/formats.hpp"
#include "cuda/tables.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {

template <int size>
struct Words {  // of eight elements of that many bytes
  using Code =
      std::conditional_t<size == 1, uint8_t,
                         std::conditional_t<size == 2, uint16_t, std::conditional_t<size == 4, uint32_t, uint64_t>>>;
  using Word = std::conditional_t<size == 1, uint2, uint4>;
  static constexpr int count = kEight * size / int(sizeof(Word));
};

// A stored code as a number of the compute type T.
template <DType D, class T, class Code>
FK_FN T decode_code(Code code) {
  if constexpr (D == DType::f64)
    return static_cast<T>(bits_as<double>(static_cast<int64_t>(code)));
  else
    return static_cast<T>(decode<D, float>(static_cast<int32_t>(code)));
}

template <DType D, class T>
FK_FN auto encode_code(T value) {
  if constexpr (D == DType::f64)
    return value == value ? bits_as<uint64_t>(static_cast<double>(value)) : uint64_t{0x7ff8000000000000};
  else
    return static_cast<typename Words<size_of(D)>::Code>(encode<D, float>(static_cast<float>(value)));
}

// A pointer out of a table does not say so, but tensors lie in global memory.
template <class P>
__device__ __forceinline__ P in_global_memory(P pointer) {
#if defined(__CUDA_ARCH__)
  __builtin_assume(__isGlobal(pointer));
#endif
  return pointer;
}

// As one word, whatever it was put together from, and not to stay in the cache: nobody reads a result soon.
template <class Word>
__device__ __forceinline__ void store_word(Word* place, const Word& word) {
#if defined(__CUDA_ARCH__)
  __stcs(place, word);
#else
  *place = word;
#endif
}

// Elements i to i + 7; those from n on are 0. `whole`: all eight exist and lie on a boundary of 16 bytes (8 of fp8).
template <DType D, class T>
__device__ __forceinline__ void load_eight(const void* array, int64_t i, int64_t n, bool whole, T (&out)[kEight]) {
  using W = Words<size_of(D)>;
  using Code = typename W::Code;
  const Code* const from = static_cast<const Code*>(in_global_memory(array)) + i;
  if (whole) {
    typename W::Word words[W::count];
    FK_UNROLL
    for (int word = 0; word < W::count; ++word) words[word] = reinterpret_cast<const typename W::Word*>(from)[word];
    Code codes[kEight];
    memcpy(codes, words, sizeof codes);
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) out[j] = decode_code<D, T>(codes[j]);
  } else {
    FK_UNROLL
    for (int j = 0; j < kEight; ++j) out[j] = i + j < n ? decode_code<D, T>(from[j]) : T(0);
  }
}

template <DType D, class T>
__device__ __forceinline__ void store_eight(void* array, int64_t i, int64_t n, bool whole, const T (&values)[kEight]) {
  using W = Words<size_of(D)>;
  using Code = typename W::Code;
  Code* const to = static_cast<Code*>(in_global_memory(array)) + i;
  Code codes[kEight];
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) codes[j] = encode_code<D, T>(values[j]);
  if (whole) {
    typename W::Word words[W::count];
    memcpy(words, codes, sizeof words);
    FK_UNROLL
    for (int word = 0; word < W::count; ++word) store_word(reinterpret_cast<typename W::Word*>(to) + word, words[word]);
  } else {
    FK_UNROLL
    for (int j = 0; j < kEight; ++j)
      if (i + j < n) to[j] = codes[j];
  }
}

// Calls f.template operator()<D>() for a floating format named at run time; F, if it is one, wins over the name.
template <int F, class Visit>
__device__ __forceinline__ void with_format(DType dtype, Visit&& visit) {
  if constexpr (F != kAnyFormat) {
    visit.template operator()<static_cast<DType>(F)>();
  } else {
    switch (dtype) {
      case DType::f64:
        return visit.template operator()<DType::f64>();
      case DType::f16:
        return visit.template operator()<DType::f16>();
      case DType::bf16:
        return visit.template operator()<DType::bf16>();
      case DType::f8_e4m3:
        return visit.template operator()<DType::f8_e4m3>();
      case DType::f8_e5m2:
        return visit.template operator()<DType::f8_e5m2>();
      default:
        return visit.template operator()<DType::f32>();
    }
  }
}

template <int F, class T>
__device__ __forceinline__ void load_eight(const Array& array, int64_t i, int64_t n, T (&out)[kEight]) {
  const bool whole = array.aligned && i + kEight <= n;
  with_format<F>(array.dtype, [&]<DType D>() { load_eight<D, T>(array.data, i, n, whole, out); });
}

// One element: where neighbours belong to different threads.
template <class T>
__device__ __forceinline__ T load_one(const Array& array, int64_t i) {
  T value{};
  with_format<kAnyFormat>(array.dtype, [&]<DType D>() {
    value = decode_code<D, T>(static_cast<const typename Words<size_of(D)>::Code*>(in_global_memory(array.data))[i]);
  });
  return value;
}

// A model's values, or what is left of them once the base is taken off (`base.data` null: nothing is).
struct Delta {
  Array base, model;
};
template <class T>
__device__ __forceinline__ T load_delta(const Delta& delta, int64_t i) {
  const T value = load_one<T>(delta.model, i);
  return delta.base.data ? value - load_one<T>(delta.base, i) : value;
}
template <class T>
__device__ __forceinline__ void load_deltas(const Delta& delta, int64_t i, int64_t n, T (&out)[kEight]) {
  load_eight<kAnyFormat>(delta.model, i, n, out);
  if (!delta.base.data) return;
  T base[kEight];
  load_eight<kAnyFormat>(delta.base, i, n, base);
  FK_UNROLL
  for (int j = 0; j < kEight; ++j) out[j] = out[j] - base[j];
}

}  // namespace fk::cuda
