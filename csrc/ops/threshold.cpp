// threshold.cpp: feeds rows to selectors, tile by tile or row by row.
#include "ops/threshold.hpp"

#include <algorithm>

#include "cpu/select.hpp"

namespace fk::ops {
namespace {

Cut find_cut(const DeltaSpan& span, int64_t keep, bool f64, std::span<uint64_t> entries, const Execution& how) {
  Selector selector(span.n, keep, magnitude_end(f64), (span.n + kTile - 1) / kTile, entries);
  while (selector.pass() != Selector::Pass::done) {
    if (selector.pass() == Selector::Pass::sample) {
      for (int64_t run = 0; run < selector.run_count(); ++run)
        magnitudes(part_of(span, selector.run_start(run), Selector::kRun), f64, selector.sample_run(run));
    } else {
      for_each_tile(span.n, how.threads, [&](int64_t first, int64_t n, int) {
        scan_tile(selector, part_of(span, first, n), first, first / kTile, f64, how.isa);
      });
    }
    selector.advance();
  }
  return selector.cut();
}

}  // namespace

std::vector<Cut> find_cuts(const Tensor& tensor, const Rows& rows, double density, const Execution& how) {
  const bool f64 = tensor.dtype == DType::f64;
  const int64_t keep = Selector::keep_for(density, rows.length);
  std::vector<Cut> cuts(static_cast<size_t>(rows.count), Cut{magnitude_end(f64) - 1, -1});
  if (keep == 0) return cuts;
  const auto entries = static_cast<size_t>(Selector::wanted_entries(rows.length));
  const auto find = [&](int64_t row, uint64_t* scratch, int threads) {
    const DeltaSpan span{nullptr, tensor.dtype, tensor.at(row * rows.length), tensor.dtype, rows.length};
    cuts[static_cast<size_t>(row)] = find_cut(span, keep, f64, {scratch, entries}, {how.isa, threads});
  };
  const bool row_by_row = rows.count >= how.threads;
  const int64_t workers = row_by_row ? how.threads : 1;
  const auto scratch = std::make_unique_for_overwrite<uint64_t[]>(static_cast<size_t>(workers) * entries);
  for_each_unit(rows.count, rows.elements(), static_cast<int>(workers), [&](int64_t row, int worker) {
    find(row, scratch.get() + static_cast<size_t>(worker) * entries, row_by_row ? 1 : how.threads);
  });
  return cuts;
}

double threshold_of(const Cut& cut, bool f64) {
  if (cut.threshold >= magnitude_end(f64) - 1) return std::numeric_limits<double>::quiet_NaN();
  return f64 ? bits_as<double>(cut.threshold)
             : static_cast<double>(bits_as<float>(static_cast<int32_t>(cut.threshold)));
}

Cut cut_at(double threshold, int64_t last, bool f64) {
  return {f64 ? ordered_magnitude(threshold) : int64_t{ordered_magnitude(static_cast<float>(threshold))}, last};
}

}  // namespace fk::ops
