// kernels.hpp: the launches that the host composes a merge of. What each computes is said where it is written.
#pragma once
#include <cuda_runtime.h>

#include <map>
#include <span>
#include <string_view>

#include "cuda/tables.hpp"

namespace fk::cuda {

// Where kernels run. `processors`: how many the device has, to decide on a launch's size.
struct Queue {
  cudaStream_t stream;
  int processors;
};

// fold.cuh: the methods' own, by name, and the weighted sum (of deltas) of gram methods
using LaunchFold = void (*)(const FoldKind&, const FoldBatch&, const Queue&);
inline std::map<std::string_view, LaunchFold>& fold_kernels() {
  static std::map<std::string_view, LaunchFold> kernels;  // methods enter themselves when the module is loaded
  return kernels;
}
LaunchFold gram_fold_kernel(bool deltas);

// select.cuh
void find_cuts(const CutBatch&, bool f64, const Queue&);

// scan.cuh: of searches that one pass of the host's serves
enum class ScanPass { collect, histogram, pinpoint };
void scan_tile(ScanPass, std::span<const CutSearch> here, CutSearch* there, bool f64, const Queue&);

// reduce.cuh
void sum_products(const SumBatch&, int most_models, bool f64, const Queue&);
void sum_dots(const SumBatch&, const Array& left, int most_models, bool f64, const Queue&);
void sum_masses(const SumBatch&, int most_models, bool f64, const Queue&);
void find_factors(const SumBatch&, const Queue&);

// masks.cuh
void draw_masks(const MaskBatch&, const Queue&);
void rank_rows(const MaskBatch&, bool f64, const Queue&);
void rank_short_rows(const MaskBatch&, bool f64, const Queue&);

// vectors.cuh
void sum_columns(const VectorTensor& here, const VectorTensor* there, bool f64, const Queue&);
void sum_vectors(const VectorBatch&, bool f64, const Queue&);

// store.cuh: bytes into device memory by way of a kernel's own arguments, for a stream that is being captured
void store(std::span<const char> bytes, char* to, const Queue&);

}  // namespace fk::cuda
