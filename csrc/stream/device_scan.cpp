// device_scan.cpp: asks a GPU for what a tile holds, and tells the selectors.
#include "stream/device_scan.hpp"

#include <algorithm>

namespace fk {
namespace {

// Entries lie on the device: as many as were found, piece by piece through a buffer.
void take_entries(Selector& selector, int64_t number, const ScanAnswer& answer, const MergeContext& context,
                  TileBuffers& buffers) {
  const int64_t piece = context.plan.tile_bytes / 8;
  auto* const here = reinterpret_cast<uint64_t*>(buffers.inputs[0]);
  for (int64_t first = 0; first < answer.collected; first += piece) {
    const int64_t n = std::min(piece, answer.collected - first);
    buffers.lane->download(buffers.inputs[0], answer.entries + first * 8, n * 8);
    buffers.lane->wait();
    selector.add(number, {.inside = n, .entries = {here, static_cast<size_t>(n)}});
  }
}

void take_bins(Selector& selector, int64_t number, const ScanAnswer& answer) {
  std::vector<uint32_t> bins(Selector::kBins);
  std::copy_n(answer.bins, bins.size(), bins.begin());
  int64_t inside = 0;
  for (const uint32_t count : bins) inside += count;
  selector.add(number, {.above = answer.above, .inside = inside, .bins = bins});
}

}  // namespace

void begin_scan(const MergeContext& context, Selection& selection, const Tiles& tiles, int64_t tile, int64_t number,
                TileBuffers& buffers) {
  const std::vector<ScanRequest> requests = selection.requests(number);
  if (requests.empty()) return;
  DeviceTile on_device(context, tiles, tile, buffers);
  on_device.load();
  on_device.lane().scan(context.call, on_device.tensor(), requests, on_device.workspace(), buffers.found);
}

void finish_scan(const MergeContext& context, Selection& selection, const Tiles& tiles, int64_t tile, int64_t number,
                 int64_t cut_offset, TileBuffers& buffers) {
  const std::vector<ScanRequest> requests = selection.requests(number);
  if (requests.empty()) return;
  buffers.lane->wait();
  const auto [first, n] = tiles.range(tile);
  const int count = static_cast<int>(requests.size());
  for (int i = 0; i < count; ++i) {
    Selector& selector = selection.selector_of(requests[static_cast<size_t>(i)]);
    const ScanAnswer answer = context.backend->scan_answer(buffers.found, i, count, n);
    if (selector.pass() == Selector::Pass::histogram) {
      take_bins(selector, number, answer);
    } else if (selector.pass() == Selector::Pass::pinpoint) {
      if (answer.index < 0) throw InvalidArgument("a tensor changed while it was being merged");
      selector.pinpointed(answer.index);
    } else if (answer.collected <= answer.capacity) {
      selector.add(number, {.above = answer.above, .equal = {answer.equal[0], answer.equal[1]}});
      take_entries(selector, number, answer, context, buffers);
    } else {  // a tile whose magnitudes are all alike: more than there was room for
      buffers.forget();
      scan_tile(selector, tiles.delta(requests[static_cast<size_t>(i)].model, tile, buffers), cut_offset + first,
                number, tiles.job().f64(), context.isa);
    }
  }
}

}  // namespace fk
