// tile_scan.cpp: one tile's share of the searches for cuts that the host conducts.
#include "cuda/tile_scan.hpp"

#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/tuning.cuh"

namespace fk::cuda {
namespace {

static_assert(Selector::kBins == kBins && Selector::kHeavy <= kHeavy);

// Tiles up to the first are collected whole, if need be; of others a bracket holds a small share, save by accident.
int64_t entries_of_tile(int64_t n) { return std::min(n, std::max(Selector::kUnsampled, n / 8)); }

int64_t answers_bytes(int requests) { return requests * static_cast<int64_t>(sizeof(ScanFound)); }

ScanPass pass_of(const Selector* selector) {
  if (selector && selector->pass() == Selector::Pass::histogram) return ScanPass::histogram;
  if (selector && selector->pass() == Selector::Pass::pinpoint) return ScanPass::pinpoint;
  return ScanPass::collect;
}

}  // namespace

TileScan::TileScan(const MergeCall&, const ResidentTensor& tile, const std::vector<ScanRequest>& requests,
                   Memory& memory)
    : f64_(tile.job->f64()),
      count_(static_cast<int>(requests.size())),
      found_(memory.zeros<char>(found_bytes(count_))) {
  group_.members.push_back(&tile);
  fill_group(group_, memory);
  auto* const answers = reinterpret_cast<ScanFound*>(found_);
  auto* const bins = reinterpret_cast<unsigned long long*>(found_ + answers_bytes(count_));
  for (const ScanPass pass : {ScanPass::collect, ScanPass::histogram, ScanPass::pinpoint}) {
    Pass& of = passes_.emplace_back(Pass{pass, {}, {}});
    for (int i = 0; i < count_; ++i) {
      const auto& [model, selector] = requests[static_cast<size_t>(i)];
      if (pass_of(selector) != pass) continue;
      CutSearch search{};
      search.tensors = group_.tensors.there;
      search.count = 1;
      search.model = model;
      search.chunks = group_.chunks;
      search.found = answers + i;
      search.bins = bins + static_cast<int64_t>(i) * kBins;
      if (pass == ScanPass::collect) {
        search.capacity = entries_of_tile(tile.units());
        search.entries = memory.scratch<uint64_t>(search.capacity);
        search.equals = memory.scratch<unsigned>(search.chunks * kHeavy);
      }
      if (selector) {
        search.n = int64_t{1} << selector->index_bits();  // that many bits tell its elements apart
        search.low = pass == ScanPass::pinpoint ? selector->cut().threshold : selector->low();
        search.high = selector->high();
        search.bits = selector->shift();
        search.rank = selector->wanted_equal();
        for (int which = 0; which < kHeavy; ++which)
          search.heavy[which] = which < Selector::kHeavy ? selector->heavy(which) : -1;
      }
      of.searches.push_back(search);
    }
    of.table = memory.copy(of.searches);
  }
}

void TileScan::run(const Queue& queue, char* found) {
  for (const Pass& of : passes_)
    if (!of.searches.empty()) scan_tile(of.pass, of.searches, of.table.there, f64_, queue);
  const bool counts = std::any_of(passes_.begin(), passes_.end(), [](const Pass& of) {
    return of.pass == ScanPass::histogram && !of.searches.empty();
  });
  check(cudaMemcpyAsync(found, found_, static_cast<size_t>(counts ? found_bytes(count_) : answers_bytes(count_)),
                        cudaMemcpyDeviceToHost, queue.stream),
        "copy what was found from the device");
}

int64_t TileScan::found_bytes(int requests) {
  return answers_bytes(requests) + requests * kBins * static_cast<int64_t>(sizeof(uint64_t));
}

ScanAnswer TileScan::answer(const char* found, int request, int requests, int64_t units) {
  const ScanFound& of = reinterpret_cast<const ScanFound*>(found)[request];
  return {static_cast<int64_t>(of.above),
          static_cast<int64_t>(of.collected),
          {static_cast<int64_t>(of.equal[0]), static_cast<int64_t>(of.equal[1])},
          entries_of_tile(units),
          of.index,
          reinterpret_cast<const char*>(of.entries),
          reinterpret_cast<const uint64_t*>(found + answers_bytes(requests)) + static_cast<int64_t>(request) * kBins};
}

}  // namespace fk::cuda
