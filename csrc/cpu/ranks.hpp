// ranks.hpp: which elements of a row are kept, where the probability rises with the rank of their magnitude.
//
// The row's bins are counted. Groups of neighbouring bins have limits on the draw, below which an element is kept
// whatever its place in the group, and above which it is not: vectors of draws are held against them. For the one in a
// hundred in between, its own bin decides, or the order in that bin if it holds equals only, or the rank is counted.
// Where that would be asked of many elements of one bin, the bin is divided into as many as there were.
#pragma once
#include "cpu/rank_bins.hpp"
#include "cpu/rank_limits.hpp"

namespace fk {

template <class V>
using RankRowOf = RankRow<IntOf<Element<V>>>;
template <class V>
using RankWindowOf = RankWindow<IntOf<Element<V>>>;

struct RankCall {
  const void* row;  // RankRow of int32_t or int64_t: magnitudes and draws are given, the rest is room
  RankOdds odds;
};

template <class I>
FK_FN void settle(const RankRow<I>& row, uint32_t element, uint64_t kept) {
  const int64_t wanted = element - row.from;
  row.kept[wanted / 64] |= kept << (wanted % 64);
}

// How many of some bins are equal to one; up to RankRow::kBeyond more may be read.
template <class V>
FK_FN uint32_t count_equal(const uint16_t* bins, int64_t n, uint16_t bin) {
  constexpr int lanes = lane_count<V> > 8 ? 32 : 16;
  using U = typename Lanes<lanes>::U16;
  U equal{};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) equal += bits_as<U>(load_unaligned<U>(bins + i) == bin);
  const U wanted = bits_as<U>(lane_numbers<U>() < static_cast<uint16_t>(n - i));
  equal += bits_as<U>(load_unaligned<U>(bins + i) == bin) & wanted;
  uint16_t sum = 0;  // each is a -1
  for (int lane = 0; lane < lanes; ++lane) sum = static_cast<uint16_t>(sum - equal[lane]);
  return sum;
}

// Of equal magnitudes the first has the higher rank.
template <class I>
FK_FN int64_t count_lower(const I* magnitudes, int64_t columns, int64_t element) {
  const I own = magnitudes[element];
  I lower = 0;
  for (int64_t i = 0; i < element; ++i) lower += magnitudes[i] < own;
  for (int64_t i = element + 1; i < columns; ++i) lower += magnitudes[i] <= own;
  return lower;
}

struct RankSegment {
  uint32_t first, end;  // elements
  uint16_t* counts;     // by bin; of a bin in which equals were passed, of those ahead
};

template <class I>
FK_FN RankSegment first_segment(const RankRow<I>& row) {
  memset(row.passed, 0, static_cast<size_t>(rank_bin_count(row.columns)) * sizeof(RankPassed));
  return {0, static_cast<uint32_t>(rank_segments(row.columns).length), row.counts};
}

// Of equals, which share a bin: looks as far along the row as the draw asks for.
template <class V>
FK_FN uint64_t keeps_among_equals(const RankRowOf<V>& row, const RankOdds& odds, const RankSegment& segment,
                                  uint32_t element, uint32_t draw) {
  const uint16_t bin = row.bins[element];
  RankPassed& passed = row.passed[bin];
  if (passed.until < segment.first) {
    const int bin_count = rank_bin_count(row.columns);
    const uint32_t length = segment.end - segment.first;
    for (const uint16_t* ahead = row.counts + passed.until / length * bin_count + bin; ahead < segment.counts;
         ahead += bin_count)
      passed.found += *ahead;
    passed.until = segment.first;
  }
  uint16_t& ahead = segment.counts[bin];
  const uint32_t last = row.below[bin + 1] - 1, distance = element - passed.until, others = ahead - 1u;
  const uint32_t highest = last - passed.found, least = highest - (distance < others ? distance : others);
  const auto [kept, dropped] = odds.judge(least, highest, draw);
  if (kept | dropped) return kept;
  const uint32_t found = count_equal<V>(row.bins + passed.until, distance, bin);
  ahead = static_cast<uint16_t>(ahead - found);
  passed = {element, passed.found + found};
  return odds.keeps(last - passed.found, draw);
}

// Returns 1 if the element is kept, or 0, after it was added to the `open` ones if its bin leaves that open. Elements
// must come in their order.
template <class V>
FK_FN uint64_t keeps_by_bin(const RankRowOf<V>& row, const RankOdds& odds, const RankWindowOf<V>& window,
                            RankSegment& segment, uint32_t element, int64_t& open) {
  const uint32_t length = segment.end - segment.first, draw = row.draws[element - row.from];
  for (; element >= segment.end; segment.counts += rank_bin_count(row.columns)) {
    segment.first = segment.end;
    segment.end += length;
  }
  const uint16_t bin = row.bins[element];
  const auto [kept, dropped] = odds.judge(row.below[bin], row.below[bin + 1] - 1, draw);
  if (kept | dropped) return kept;
  if (holds_equals(window, bin, row.columns)) return keeps_among_equals<V>(row, odds, segment, element, draw);
  row.open[open++] = element;
  return 0;
}

// Both return how many elements are left open.
template <class V>
FK_FN int64_t keep_all_by_bins(const RankRowOf<V>& row, const RankOdds& odds, const RankWindowOf<V>& window) {
  int group_shift = 0;
  while (1 << group_shift < rank_group_bins(row.columns)) ++group_shift;
  const LimitTable<lane_count<V>> limits(limits_of(odds, row.below, row.columns));
  RankSegment segment = first_segment(row);
  int64_t open = 0;
  for (int64_t block = 0; block < row.count; block += 64) {
    const int64_t n = row.count - block < 64 ? row.count - block : 64;
    const uint64_t used = ~uint64_t{0} >> (64 - n);
    const BlockBits bits = limits.compare(row.bins + row.from + block, row.draws + block, n, group_shift);
    uint64_t kept = bits.kept & used;
    for (uint64_t rest = bits.open & used; rest; rest &= rest - 1) {
      const int lane = __builtin_ctzll(rest);
      const auto element = static_cast<uint32_t>(row.from + block + lane);
      kept |= keeps_by_bin<V>(row, odds, window, segment, element, open) << lane;
    }
    row.kept[block / 64] = kept;
  }
  return open;
}

template <class V>
FK_FN void bin_row(const RankRowOf<V>& row, const RankWindowOf<V>& window) {
  rank_bins(row.magnitudes, row.columns, window, row.bins);
  count_bins(row.bins, row.columns, row.counts);
  sum_counts<V>(row.counts, row.columns, row.below);
}

template <class V>
FK_FN int64_t keep_by_bins(const RankRowOf<V>& row, const RankOdds& odds) {
  auto window = whole_window(row.magnitudes, row.columns);
  bin_row<V>(row, window);
  int64_t open = keep_all_by_bins<V>(row, odds, window);
  // Where one bin leaves many open, it is divided.
  constexpr int64_t kMany = 32;
  for (int round = 0; open >= kMany && round < 3; ++round) {
    const uint16_t bin = row.bins[row.open[open / 2]];
    int64_t shared = 0;
    for (int64_t i = 0; i < open; ++i) shared += row.bins[row.open[i]] == bin;
    if (shared < kMany) break;
    window = window_of_bin(row.magnitudes, row.columns, window, bin);
    bin_row<V>(row, window);
    RankSegment segment = first_segment(row);
    int64_t left = 0;
    for (int64_t i = 0; i < open; ++i) {
      const uint32_t element = row.open[i];
      settle(row, element, keeps_by_bin<V>(row, odds, window, segment, element, left));
    }
    open = left;
  }
  return open;
}

// Returns how many elements are left open, so many that sorting costs less than counting.
template <class V>
FK_FN int64_t keep_by_rank(const RankCall& call) {
  const RankRowOf<V>& row = *static_cast<const RankRowOf<V>*>(call.row);
  const RankOdds& odds = call.odds;
  constexpr int64_t kShort = 16;  // bins cost more than they save
  constexpr int64_t kFew = 128;
  int64_t open = 0;
  if (row.columns <= kShort) {
    row.kept[0] = 0;
    for (int64_t i = 0; i < row.count; ++i) {
      const auto [kept, dropped] = odds.judge(0, static_cast<uint32_t>(row.columns - 1), row.draws[i]);
      row.kept[0] |= kept << i;
      row.open[open] = static_cast<uint32_t>(row.from + i);
      open += 1 ^ kept ^ dropped;
    }
  } else {
    open = keep_by_bins<V>(row, odds);
    if (open > kFew) return open;
  }
  for (int64_t i = 0; i < open; ++i) {
    const uint32_t element = row.open[i], draw = row.draws[element - row.from];
    settle(row, element, odds.keeps(count_lower(row.magnitudes, row.columns, element), draw) ? 1 : 0);
  }
  return 0;
}

}  // namespace fk
