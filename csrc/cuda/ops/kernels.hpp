// kernels.hpp: the launches that single operations are composed of, beside those of merges.
#pragma once
#include "cuda/kernels.hpp"

namespace fk::cuda {

// row_cuts.cuh
// Searches for the cuts of consecutive rows of one tensor: the room for their tables and what these will say.
struct RowSearches {
  Array tensor;
  int64_t length, keep;  // 0 < keep < length
  int64_t at_once;       // room for so many rows
  FoldTensor* tensors;
  FoldModel* models;
  CutSearch* searches;
  Limit* limits;
  uint64_t* entries;  // [at_once][capacity]
  int64_t capacity;
  uint64_t* few;             // [at_once][kEntriesAlone], where narrows(length)
  unsigned* equals;          // [at_once][chunks of a row][kHeavy]
  unsigned long long* bins;  // [at_once][kBins], zeroed
};
void describe_rows(const RowSearches&, int64_t first_row, int64_t count, const Queue&);
// Limits as thresholds (T, of the compute type) and the indices of the last kept equals; without limits, `all` of each.
void write_cuts(const Limit* limits, const Limit& all, int64_t count, bool f64, void* thresholds, int64_t* last,
                const Queue&);

// keep.cuh: one tensor with zeros where nothing is kept
struct Thinned {
  Array in, out;
  int64_t n;
};
void keep_above(const Thinned&, int64_t row_length, const void* thresholds, const int64_t* last, bool f64,
                const Queue&);
void keep_at_random(const Thinned&, uint64_t key, uint32_t below, double factor, bool f64, const Queue&);

// signs.cuh: folds that write signs, or follow them
enum class Election { sum, count };
void elect_sign(Election, const FoldBatch&, int count, bool f64, const Queue&);
void average_agreeing(const FoldBatch&, const int8_t* signs, bool f64, const Queue&);

// products.cuh
void square_gram(const double* triangle, int count, double* out, const Queue&);
// Every `stride`-th of the totals, or its root.
void finish_sums(const double* totals, int stride, int64_t count, bool root, double* out, const Queue&);

// weights.cuh: numbers in double as the compute type's, each so many times
void narrow_weights(const double* from, int64_t count, int copies, bool f64, void* to, const Queue&);

}  // namespace fk::cuda
