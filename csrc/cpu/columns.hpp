// columns.hpp: a matrix whose columns are the vectors: their dot products, row by row, and their weighted sum.
#pragma once
#include "cpu/fold.hpp"
#include "cpu/gram.hpp"

namespace fk {

struct ColumnCall {
  const void* base;  // null: the models' own values; all pointers at the start of one row
  DType base_dtype;
  const void* const* models;
  const DType* dtypes;
  int count;
  int64_t n;     // columns
  double* sums;  // pair_count(count) rows of n, to be added to
};

// Products are added in the order of the rows, so a column is summed as by one who walks down it.
template <class V>
FK_FN void add_columns(const ColumnCall& call) {
  using T = Element<V>;
  const auto at = [](const void* array, DType dtype, int64_t i)
                      FK_INLINE_LAMBDA { return static_cast<const char*>(array) + i * size_of(dtype); };
  T base[kRow], first[kRow], second[kRow];
  for (int64_t i = 0; i < call.n; i += kRow) {
    const int64_t n = call.n - i < kRow ? call.n - i : kRow;
    const auto decode = [&](int k, T* row) FK_INLINE_LAMBDA {
      decode_any<V>(call.dtypes[k], at(call.models[k], call.dtypes[k], i), row, n);
      if (!call.base) return;
      decode_any<V>(call.base_dtype, at(call.base, call.base_dtype, i), base, n);
      for (int64_t c = 0; c < n; ++c) row[c] = row[c] - base[c];
    };
    double* sums = call.sums + i;
    for (int j = 0; j < call.count; ++j) {
      decode(j, first);
      for (int k = j; k < call.count; ++k, sums += call.n) {
        decode(k, second);
        for (int64_t c = 0; c < n; ++c) sums[c] += static_cast<double>(first[c]) * static_cast<double>(second[c]);
      }
    }
  }
}

// What FoldCall::model_parameters points to.
struct ColumnWeights {
  const void* weights;  // count rows of n, of the compute type
};

// One row: out[c] = base[c] + sum_k weights[k][c] x_k[c], where x_k are deltas if there is a base.
template <class V>
FK_FN int64_t column_sum(const FoldCall& call) {
  using T = Element<V>;
  const auto* weights = static_cast<const T*>(static_cast<const ColumnWeights*>(call.model_parameters)->weights);
  const auto at = [](const void* array, DType dtype, int64_t i)
                      FK_INLINE_LAMBDA { return static_cast<const char*>(array) + i * size_of(dtype); };
  T base[kRow], row[kRow], sum[kRow];
  IntOf<T> peak = 0;
  for (int64_t i = 0; i < call.n; i += kRow) {
    const int64_t n = call.n - i < kRow ? call.n - i : kRow;
    if (call.base) decode_any<V>(call.base_dtype, at(call.base, call.base_dtype, i), base, n);
    for (int k = 0; k < call.count; ++k) {
      decode_any<V>(call.dtypes[k], at(call.models[k], call.dtypes[k], i), row, n);
      const T* const weight = weights + k * call.n + i;
      for (int64_t c = 0; c < n; ++c) {
        const T term = (call.base ? row[c] - base[c] : row[c]) * weight[c];
        sum[c] = k == 0 ? term : sum[c] + term;
      }
    }
    if (call.base)
      for (int64_t c = 0; c < n; ++c) sum[c] = base[c] + sum[c];
    char* const out = static_cast<char*>(call.out) + i * size_of(call.out_dtype);
    peak = larger(peak, encode_any<V>(call.out_dtype, sum, out, n));
  }
  return peak;
}

}  // namespace fk
