#include "cpu/select.hpp"

#include <algorithm>

namespace fk {
namespace {

template <bool collecting, class V>
FK_FN ScanCount collect_span(const ScanCall& call) {
  using T = Element<V>;
  using I = Int<V>;
  const IntOf<T> low = static_cast<IntOf<T>>(call.low), high = static_cast<IntOf<T>>(call.high);
  ScanCount count;
  uint64_t* entry = call.entries;
  I lanes_above{}, lanes_inside{};
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t i) FK_INLINE_LAMBDA {
    const Int<U> magnitude = magnitude_bits(delta);
    const auto above = magnitude >= splat_int<U>(high);
    const auto inside = (magnitude >= splat_int<U>(low)) & !above;
    if constexpr (is_scalar<U>) {
      count.above += above;
      if (inside) {
        ++count.inside;
        if constexpr (collecting) *entry++ = make_entry(magnitude, call.low, call.first_index + i, call.index_bits);
      }
    } else {
      lanes_above -= above;  // a true lane is -1
      if constexpr (!collecting) {
        lanes_inside -= inside;
      } else if (uint32_t bits = lane_bits(inside)) {
        int32_t magnitudes[lane_count<U>];
        memcpy(magnitudes, &magnitude, sizeof magnitudes);
        do {
          const int lane = __builtin_ctz(bits);
          *entry++ = make_entry(magnitudes[lane], call.low, call.first_index + i + lane, call.index_bits);
          bits &= bits - 1;
          ++count.inside;
        } while (bits);
      }
    }
  });
  if constexpr (!is_scalar<V>) {
    for (int lane = 0; lane < lane_count<V>; ++lane) {
      count.above += lanes_above[lane];
      count.inside += lanes_inside[lane];
    }
  }
  return count;
}

template <class V>
FK_FN ScanCount collect_either(const ScanCall& call) {
  return call.entries ? collect_span<true, V>(call) : collect_span<false, V>(call);
}
FK_PER_ISA(collect_table, ScanCount, (const ScanCall& call), collect_either, (call));

template <class V>
FK_FN void histogram_span(const ScanCall& call) {
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t) FK_INLINE_LAMBDA {
    const auto tally = [&](int64_t magnitude) FK_INLINE_LAMBDA {
      if (magnitude >= call.low && magnitude < call.high) ++call.bins[(magnitude - call.low) >> call.shift];
    };
    const Int<U> magnitude = magnitude_bits(delta);
    if constexpr (is_scalar<U>) {
      tally(magnitude);
    } else {
      int32_t lanes[lane_count<U>];
      memcpy(lanes, &magnitude, sizeof lanes);
      for (int lane = 0; lane < lane_count<U>; ++lane) tally(lanes[lane]);
    }
  });
}
FK_PER_ISA(histogram_table, void, (const ScanCall& call), histogram_span, (call));

ScanCount collect(const ScanCall& call, Isa isa) {
  return call.f64 ? collect_either<double>(call) : collect_table[static_cast<int>(isa)](call);
}

void histogram(const ScanCall& call, Isa isa) {
  call.f64 ? histogram_span<double>(call) : histogram_table[static_cast<int>(isa)](call);
}

constexpr int64_t kBlock = 4096;

DeltaSpan part_of(const DeltaSpan& span, int64_t first, int64_t n) {
  const auto at = [first](const void* array, DType dtype) {
    return static_cast<const char*>(array) + first * size_of(dtype);
  };
  return {span.base ? at(span.base, span.base_dtype) : nullptr, span.base_dtype, at(span.model, span.dtype), span.dtype,
          n};
}

// The index within the tensor of the selector's wanted equal, which lies in this tile.
int64_t find_equal(const Selector& selector, const DeltaSpan& span, int64_t first_index, bool f64) {
  int64_t wanted = selector.wanted_equal();
  int64_t block[kBlock];
  for (int64_t first = 0; first < span.n; first += kBlock) {
    const int64_t n = std::min(kBlock, span.n - first);
    magnitudes(part_of(span, first, n), f64, block);
    for (int64_t i = 0; i < n; ++i)
      if (block[i] == selector.low() && --wanted == 0) return first_index + first + i;
  }
  throw InvalidArgument("a tensor changed while it was being merged");
}

}  // namespace

void scan_tile(Selector& selector, const DeltaSpan& span, int64_t first_index, int64_t tile, bool f64, Isa isa) {
  if (selector.pass() == Selector::Pass::pinpoint) {
    if (tile == selector.pinpoint_tile()) selector.pinpointed(find_equal(selector, span, first_index, f64));
    return;
  }
  ScanCall call{span,    f64,     selector.low(),  selector.high(), first_index, selector.index_bits(),
                nullptr, nullptr, selector.shift()};
  if (selector.pass() == Selector::Pass::collect) {
    uint64_t entries[2 * kBlock];
    int64_t held = 0;
    ScanCount count;
    for (int64_t first = 0; first < span.n; first += kBlock) {
      call.span = part_of(span, first, std::min(kBlock, span.n - first));
      call.first_index = first_index + first;
      call.entries = entries + held;
      const ScanCount block = collect(call, isa);
      count.above += block.above;
      count.inside += block.inside;
      held += block.inside;
      if (held > kBlock) {
        selector.add(tile, 0, 0, {entries, static_cast<size_t>(held)}, {});
        held = 0;
      }
    }
    selector.add(tile, count.above, count.inside, {entries, static_cast<size_t>(held)}, {});
    return;
  }
  const ScanCount count = collect(call, isa);
  if (selector.pass() == Selector::Pass::histogram) {
    uint32_t bins[Selector::kBins] = {};
    call.bins = bins;
    histogram(call, isa);
    selector.add(tile, count.above, count.inside, {}, bins);
  } else {
    selector.add(tile, count.above, count.inside, {}, {});
  }
}

void magnitudes(const DeltaSpan& span, bool f64, int64_t* out) {
  const auto keep = [&]<class U>(const U& delta, int64_t i) { out[i] = magnitude_bits(delta); };
  f64 ? visit_deltas<double>(span, keep) : visit_deltas<float>(span, keep);
}

}  // namespace fk
