// threshold.cpp: each row as a search of its own, so many at once as there is room for.
#include <algorithm>

#include "cuda/ops/enqueue.hpp"
#include "cuda/ops/kernels.hpp"
#include "cuda/ops/operations.hpp"

namespace fk::cuda {
namespace {

constexpr Limit kNone{-1, INT64_MAX, INT64_MAX}, kAll{-1, 0, 0};  // what a cut at 0 keeps is not zero

RowSearches describe_searches(const Tensor& tensor, const Rows& rows, int64_t keep, Memory& memory) {
  RowSearches searches{};
  searches.tensor = array_of(tensor);
  searches.length = rows.length;
  searches.keep = keep;
  const bool is_short = rows.length <= kFewestEntries;
  searches.at_once = std::min(rows.count, is_short ? kShortRowsAtOnce : kLongRowsAtOnce);
  searches.capacity = entries_for(rows.length);
  searches.tensors = memory.scratch<FoldTensor>(searches.at_once);
  searches.models = memory.scratch<FoldModel>(searches.at_once);
  searches.searches = memory.scratch<CutSearch>(searches.at_once);
  searches.limits = memory.scratch<Limit>(searches.at_once);
  if (is_short) return searches;
  searches.entries = memory.scratch<uint64_t>(searches.at_once * searches.capacity);
  if (narrows(rows.length)) searches.few = memory.scratch<uint64_t>(searches.at_once * kEntriesAlone);
  searches.equals = memory.scratch<unsigned>(searches.at_once * pieces(rows.length, kChunk) * kHeavy);
  searches.bins = memory.zeros<unsigned long long>(searches.at_once * kBins);
  return searches;
}

}  // namespace

void find_cuts(const Tensor& tensor, const Rows& rows, double density, void* thresholds, int64_t* last,
               const DeviceExecution& how) {
  if (rows.count == 0) return;
  const bool f64 = tensor.dtype == DType::f64;
  const int64_t keep = Selector::keep_for(density, rows.length);
  const bool searched = 0 < keep && keep < rows.length;
  enqueue(how, [&](Memory& memory) {
    const RowSearches searches = searched ? describe_searches(tensor, rows, keep, memory) : RowSearches{};
    return [=](const Queue& queue) {
      if (!searched) return write_cuts(nullptr, keep == 0 ? kNone : kAll, rows.count, f64, thresholds, last, queue);
      for (int64_t first = 0; first < rows.count; first += searches.at_once) {
        const int64_t count = std::min(searches.at_once, rows.count - first);
        describe_rows(searches, first, count, queue);
        find_cuts({searches.searches, count, pieces(rows.length, kChunk), rows.length}, f64, queue);
        void* const to = static_cast<char*>(thresholds) + first * (f64 ? 8 : 4);
        write_cuts(searches.limits, {}, count, f64, to, last + first, queue);
      }
    };
  });
}

}  // namespace fk::cuda
