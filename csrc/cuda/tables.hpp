// tables.hpp: what kernels read, as it lies in a GPU's memory: written by the host, completed by earlier passes.
#pragma once
#include <compare>
#include <cstdint>
#include <span>

#include "core/dtype.hpp"
#include "core/limit.hpp"

namespace fk::cuda {

// A tensor's elements. `aligned`: the first lies on a boundary of 16 bytes.
struct Array {
  const void* data;
  DType dtype;
  bool aligned;
};
inline Array array_of(const void* data, DType dtype) {
  return {data, dtype, reinterpret_cast<uintptr_t>(data) % 16 == 0};
}

struct FoldModel {
  Array array;
  uint64_t key;         // of a masked method's draws
  uint32_t below;       // Sparsifier::random: the draws that are kept
  const uint8_t* keep;  // bit i % 8 of byte i / 8 says whether delta i counts; null: draw, or all do
};

struct FoldTensor {
  Array base, out;
  int64_t n;
  int64_t first;        // number of its first element, in what limits and draws count
  int64_t first_chunk;  // of kChunk elements, in the launch
  int count;
  const FoldModel* models;
  const void* parameters;    // M::Model<T>[count], or M::Model<double>[count] if it is rescaled
  const void* shared;        // M::Shared<T>
  const double* factors;     // [count]; null: 1
  const Limit* above;        // [count]; null: nothing is trimmed
  const Limit* ceiling;      // the same
  unsigned long long* peak;  // the largest magnitude of the results, as bits; null: nobody asks
};
struct FoldBatch {
  const FoldTensor* tensors;
  int count;
  int64_t chunks;
};
// What a launch chooses its kernel by. `format`: of base, models and output if they share one, else kAnyFormat.
struct FoldKind {
  bool f64;
  int format;
  int count;       // of models, or 0 where there are many
  bool by_vector;  // rows or columns have weights of their own: see VectorTensor
  bool has_base;
  auto operator<=>(const FoldKind&) const = default;
};
inline constexpr int kAnyFormat = -1;
// Kernels exist for bf16 throughout, and for double with any number of models. `formats`: the result's, then all
// others.
inline FoldKind fold_kind(std::span<const DType> formats, int count, bool has_base) {
  constexpr int kMostUnrolled = 4;
  bool bf16 = true;
  for (const DType format : formats) bf16 = bf16 && format == DType::bf16;
  const bool f64 = formats[0] == DType::f64;
  return {f64, bf16 ? static_cast<int>(DType::bf16) : kAnyFormat, f64 || count > kMostUnrolled ? 0 : count, false,
          has_base};
}

// Sums over vectors: rows and columns, or 1 and all elements.
struct SumTensor {
  const FoldTensor* tensor;
  int64_t start;  // the first element that is summed
  int64_t vectors, length;
  int64_t first_chunk;   // number of its first block of elements in the launch
  int64_t first_vector;  // of its first vector
  int64_t blocks;        // of one vector
  double* sums;          // [vectors][blocks][width]
  int width;
  double* totals;  // [vectors][width]
};
struct SumBatch {
  const SumTensor* tensors;
  int count;
  int64_t blocks, vectors;  // of all
};

// One cut through one model's deltas, over one tensor or several, whose elements are numbered through.
inline constexpr int kHeavy = 3;
inline constexpr int kBinBits = 11;
inline constexpr int kBins = 1 << kBinBits;
// What a tile was found to hold, where the host decides what comes next (see selector.hpp).
struct ScanFound {
  unsigned long long above, collected, equal[kHeavy];
  int64_t index;            // of the element that was looked for
  const uint64_t* entries;  // in the device's memory
};
// Entries first <= entry < first + (1 << bits), among which the cut is.
struct EntryPart {
  uint64_t first;
  int bits;
  int64_t above;  // elements in the bracket, but above the part
  int64_t count;  // entries in it; INT64_MAX: not counted
};
struct CutSearch {
  const FoldTensor* tensors;
  int count, model;
  int64_t chunks, n, keep;  // 0 < keep < n: the rank, from 1
  int64_t origin;           // number of the first element that is searched
  uint64_t* entries;        // room for `capacity`: the sample, then what is collected
  int64_t capacity;
  uint64_t* few;             // [kEntriesAlone], where narrows(n)
  unsigned* equals;          // [chunks][kHeavy]
  unsigned long long* bins;  // [kBins], zeroed
  Limit* limit;              // the answer
  ScanFound* found;          // the answer to the host

  int64_t low, high;      // the bracket: low <= magnitude < high
  int64_t heavy[kHeavy];  // magnitudes that are counted, not collected, from the largest; -1: none
  unsigned long long above, collected;
  EntryPart part;
  unsigned long long gathered;  // entries in `few`
  int64_t rank;                 // histograms: from 0, among those in the bracket
  int bits;                     // high - low = 1 << bits
  bool done;
};
// Searches that one round of launches serves.
struct CutBatch {
  CutSearch* searches;
  int64_t count, chunks, n;  // chunks and n: of the largest
};

struct MaskTensor {
  const FoldTensor* tensor;
  int model;
  int64_t rows, columns;
  double density, epsilon;
  uint8_t* keep;        // zeroed where ranks decide
  int64_t first_chunk;  // number of its first row, or of its first piece, in the launch
};
struct MaskBatch {
  const MaskTensor* tensors;
  int count;
  int64_t chunks;
};

// A matrix whose rows or columns are weighted one by one.
struct VectorTensor {
  const FoldTensor* tensor;
  int64_t rows, columns;
  bool by_column;
  bool continues;       // by_column: `sums` holds those of the rows before
  double* sums;         // by_column: [pairs][columns], dot products
  const void* weights;  // T[count][vectors]
  int64_t first_chunk;  // of kChunk elements, in the launch
};
struct VectorBatch {
  const VectorTensor* tensors;
  int count;
  int64_t chunks;
};

}  // namespace fk::cuda
