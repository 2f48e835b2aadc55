// fold_access.hpp: where the elements of a fold come from, and where its results go.
#pragma once
#include "core/method.hpp"
#include "cpu/lanes_pairs.hpp"
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
  bool streamed = false;                 // the result goes past the caches, which it would fill
};
using FoldFunction = int64_t (*)(const FoldCall&);  // the largest magnitude of the result, as bits of the compute type

inline constexpr int64_t kFoldBlock = 512;
inline constexpr int64_t kModelBytes = 8 * 64;  // a model's parameters, up to eight numbers in the widest lanes
constexpr int64_t fold_scratch_bytes(int count) {
  return (count + 2) * kFoldBlock * int64_t(sizeof(double)) + count * kModelBytes;
}

// Sources and sinks take `parts` vectors at a time. Rows of the compute type: row 0 is the base, row 1 + k model k.
template <class V>
struct RowSource {
  static constexpr int parts = 1;
  const Element<V>* rows;
  const FoldCall& call;
  int64_t first;  // of the rows, in the call
  template <int part>
  FK_FN V load_base(int64_t i) const {
    return load_unaligned<V>(rows + i);
  }
  template <int part>
  FK_FN V load_model(int k, int64_t i) const {
    return load_unaligned<V>(rows + (k + 1) * kFoldBlock + i);
  }
  template <int part>
  FK_FN Mask<V> keep(int k, int64_t i) const {
    return lane_mask<V>(call.keep[k], first + i);
  }
};
template <class V>
struct RowSink {
  Element<V>* row;
  FK_FN void put(int64_t i, const V (&value)[1]) { memcpy(row + i, value, sizeof value); }
};

// Stored elements, all of format D. Two vectors of BF16 are taken at a time.
template <DType D>
inline constexpr int kParts = D == DType::bf16 ? 2 : 1;

template <class V, DType D, int K>
struct DirectSource {
  static constexpr int parts = kParts<D>;
  const char* base;
  const char* models[K];  // copies that nothing else can point at: a store would force re-reading
  const uint8_t* masks[K];
  FK_FN explicit DirectSource(const FoldCall& call) : base(static_cast<const char*>(call.base)) {
    for (int k = 0; k < K; ++k) models[k] = static_cast<const char*>(call.models[k]);
    for (int k = 0; k < K; ++k) masks[k] = call.keep ? call.keep[k] : nullptr;
  }
  template <int part>
  static FK_FN V read(const char* array, int64_t i) {
    if constexpr (parts == 2)
      return load_paired<part, V>(array, i);
    else
      return load<D, V>(array, i);
  }
  template <int part>
  FK_FN V load_base(int64_t i) const {
    return read<part>(base, i);
  }
  template <int part>
  FK_FN V load_model(int k, int64_t i) const {
    return read<part>(models[k], i);
  }
  template <int part>
  FK_FN Mask<V> keep(int k, int64_t i) const {
    if constexpr (parts == 2)
      return paired_mask<part, V>(masks[k], i);
    else
      return lane_mask<V>(masks[k], i);
  }
};
template <class V, DType D>
struct DirectSink {
  static constexpr int parts = kParts<D>;
  char* out;
  bool streamed;
  Int<V> peak{};
  FK_FN void put(int64_t i, const V (&value)[parts]) {
    for (int part = 0; part < parts; ++part) peak = larger<Int<V>>(peak, bits_as<Int<V>>(value[part]) & INT32_MAX);
    if constexpr (parts == 2)
      store_paired(out, i, value[0], value[1], streamed);
    else if constexpr (D == DType::f32)
      put_register(out + 4 * i, value[0], streamed);
    else
      store<D, V>(out, i, value[0]);
  }
};

}  // namespace fk
