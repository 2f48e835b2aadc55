// scan.hpp: one pass over a span of deltas: count above a bracket, collect or tally what is inside it.
#pragma once
#include "cpu/deltas.hpp"
#include "cpu/lanes_picks.hpp"

namespace fk {

inline constexpr int64_t kScanBlock = 2048;  // elements a call may collect from

struct ScanCall {
  DeltaSpan span;
  int64_t low, high;  // the bracket: low <= magnitude < high
  int64_t heavy[2];   // magnitudes in it that are only counted; -1: none
  int64_t first_index;
  int index_bits;
  uint64_t* entries;  // collect: room for span.n
  uint32_t* bins;     // histogram: of (magnitude - low) >> shift
  int shift;
};
struct ScanCount {
  int64_t above = 0, inside = 0, equal[2] = {};
};

// An entry orders elements: the larger magnitude first, the lower index first among equals.
FK_FN uint64_t make_entry(int64_t magnitude, int64_t low, int64_t index, int index_bits) {
  const uint64_t mask = (uint64_t{1} << index_bits) - 1;
  return uint64_t(magnitude - low) << index_bits | (mask - uint64_t(index));
}

template <bool heavy, class V>
FK_FN ScanCount collect_span(const ScanCall& call) {
  using T = Element<V>;
  using I = Int<V>;
  const auto low = static_cast<IntOf<T>>(call.low), high = static_cast<IntOf<T>>(call.high);
  const IntOf<T> equal0 = static_cast<IntOf<T>>(call.heavy[0]), equal1 = static_cast<IntOf<T>>(call.heavy[1]);
  const I low_lanes = splat_int<V>(low - 1), high_lanes = splat_int<V>(high - 1);
  const I equal0_lanes = splat_int<V>(equal0), equal1_lanes = splat_int<V>(equal1);
  ScanCount count;
  uint64_t* entry = call.entries;
  const auto enter = [&](int64_t magnitude, int64_t i) FK_INLINE_LAMBDA {
    *entry++ = make_entry(magnitude, call.low, call.first_index + i, call.index_bits);
  };
  I above_lanes{}, count0_lanes{}, count1_lanes{};
  // Few are inside, but no branch foresees which: vectors list them, and they are entered afterwards.
  int32_t magnitudes[kScanBlock], places[kScanBlock + lane_count<V>];
  int listed = 0;
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t i) FK_INLINE_LAMBDA {
    const Int<U> magnitude = ordered_magnitude(delta);
    if constexpr (is_scalar<U>) {
      if (magnitude >= high) {
        ++count.above;
      } else if (heavy && (magnitude == equal0 || magnitude == equal1)) {
        ++count.equal[magnitude == equal0 ? 0 : 1];
      } else if (magnitude >= low) {
        enter(magnitude, i);
      }
    } else {
      const Picks<I> above = pick_greater(magnitude, high_lanes);
      Picks<I> inside = pick_greater(magnitude, low_lanes) & ~above;
      above_lanes = count_picks(above_lanes, above);
      if constexpr (heavy) {
        const Picks<I> is0 = pick_equal(magnitude, equal0_lanes), is1 = pick_equal(magnitude, equal1_lanes);
        count0_lanes = count_picks(count0_lanes, is0);
        count1_lanes = count_picks(count1_lanes, is1);
        inside &= ~(is0 | is1);
      }
      memcpy(magnitudes + i, &magnitude, sizeof magnitude);
      listed += list_picks<V>(inside, static_cast<int32_t>(i), places + listed);
    }
  });
  for (int place = 0; place < listed; ++place) enter(magnitudes[places[place]], places[place]);
  count.inside = entry - call.entries;
  if constexpr (!is_scalar<V>) {
    for (int lane = 0; lane < lane_count<V>; ++lane) {
      count.above += above_lanes[lane];
      count.equal[0] += count0_lanes[lane];
      count.equal[1] += count1_lanes[lane];
    }
  }
  return count;
}

template <class V>
FK_FN ScanCount collect(const ScanCall& call) {
  return call.heavy[0] >= 0 || call.heavy[1] >= 0 ? collect_span<true, V>(call) : collect_span<false, V>(call);
}

template <class V>
FK_FN ScanCount histogram(const ScanCall& call) {
  ScanCount count;
  visit_deltas<V>(call.span, [&]<class U>(const U& delta, int64_t) FK_INLINE_LAMBDA {
    const auto tally = [&](int64_t magnitude) FK_INLINE_LAMBDA {
      count.above += magnitude >= call.high;
      if (magnitude >= call.low && magnitude < call.high) {
        ++count.inside;
        ++call.bins[(magnitude - call.low) >> call.shift];
      }
    };
    const Int<U> magnitude = ordered_magnitude(delta);
    if constexpr (is_scalar<U>) {
      tally(magnitude);
    } else {
      int32_t lanes[lane_count<U>];
      memcpy(lanes, &magnitude, sizeof lanes);
      for (int lane = 0; lane < lane_count<U>; ++lane) tally(lanes[lane]);
    }
  });
  return count;
}

}  // namespace fk
