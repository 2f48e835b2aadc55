// select.cpp: feeds one tile to a selector, block by block.
#include "cpu/select.hpp"

#include <algorithm>

FK_KERNEL_TABLE(fk_collect, fk::ScanCount, const fk::ScanCall&);
FK_KERNEL_TABLE(fk_histogram, fk::ScanCount, const fk::ScanCall&);

namespace fk {
namespace {

constexpr int64_t kBlock = 4096;

void collect_tile(Selector& selector, ScanCall call, int64_t tile, bool f64, Isa isa) {
  const DeltaSpan whole = call.span;
  const int64_t first_index = call.first_index;
  uint64_t entries[kBlock + kScanBlock];
  Selector::Found found;
  size_t held = 0;
  for (int64_t first = 0; first < whole.n; first += kScanBlock) {
    call.span = part_of(whole, first, std::min(kScanBlock, whole.n - first));
    call.first_index = first_index + first;
    call.entries = entries + held;
    const ScanCount block = f64 ? collect<double>(call) : fk_collect[static_cast<int>(isa)](call);
    found.above += block.above;
    found.inside += block.inside;
    found.equal[0] += block.equal[0];
    found.equal[1] += block.equal[1];
    held += static_cast<size_t>(block.inside);
    if (held > kBlock) {
      selector.add(tile, {.entries = {entries, held}});
      held = 0;
    }
  }
  found.entries = {entries, held};
  selector.add(tile, found);
}

void histogram_tile(Selector& selector, ScanCall call, int64_t tile, bool f64, Isa isa) {
  uint32_t bins[Selector::kBins] = {};
  call.bins = bins;
  const ScanCount count = f64 ? histogram<double>(call) : fk_histogram[static_cast<int>(isa)](call);
  selector.add(tile, {.above = count.above, .inside = count.inside, .bins = bins});
}

// The index within the tensor of the selector's wanted equal, which lies in this tile.
int64_t find_equal(const Selector& selector, const DeltaSpan& span, int64_t first_index, bool f64) {
  int64_t wanted = selector.wanted_equal();
  int64_t block[kBlock];
  for (int64_t first = 0; first < span.n; first += kBlock) {
    const int64_t n = std::min(kBlock, span.n - first);
    magnitudes(part_of(span, first, n), f64, block);
    for (int64_t i = 0; i < n; ++i)
      if (block[i] == selector.cut().threshold && --wanted == 0) return first_index + first + i;
  }
  throw InvalidArgument("a tensor changed while it was being merged");
}

}  // namespace

void scan_tile(Selector& selector, const DeltaSpan& span, int64_t first_index, int64_t tile, bool f64, Isa isa) {
  const ScanCall call{span,
                      selector.low(),
                      selector.high(),
                      {selector.heavy(0), selector.heavy(1)},
                      first_index,
                      selector.index_bits(),
                      nullptr,
                      nullptr,
                      selector.shift()};
  switch (selector.pass()) {
    case Selector::Pass::collect:
      return collect_tile(selector, call, tile, f64, isa);
    case Selector::Pass::histogram:
      return histogram_tile(selector, call, tile, f64, isa);
    case Selector::Pass::pinpoint:
      if (tile == selector.pinpoint_tile()) selector.pinpointed(find_equal(selector, span, first_index, f64));
      return;
    default:
      return;
  }
}

void magnitudes(const DeltaSpan& span, bool f64, int64_t* out) {
  const auto keep = [&]<class U>(const U& delta, int64_t i) { out[i] = ordered_magnitude(delta); };
  f64 ? visit_deltas<double>(span, keep) : visit_deltas<float>(span, keep);
}

}  // namespace fk
