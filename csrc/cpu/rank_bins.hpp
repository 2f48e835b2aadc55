// rank_bins.hpp: how many of a row's magnitudes lie in each bin (see statistics/ranks.hpp) and in all lower ones.
#pragma once
#include "cpu/lanes.hpp"
#include "statistics/ranks.hpp"

namespace fk {

// The fourth largest of the maxima of 16 interleaved parts: a few outliers should not leave the others without bins.
template <class I>
FK_FN I rank_top(const I* magnitudes, int64_t n) {
  constexpr int parts = 16;
  I tops[parts] = {};
  int64_t i = 0;
  for (; i + parts <= n; i += parts)
    for (int part = 0; part < parts; ++part)
      tops[part] = magnitudes[i + part] > tops[part] ? magnitudes[i + part] : tops[part];
  for (int part = 0; i < n; ++i, ++part) tops[part] = magnitudes[i] > tops[part] ? magnitudes[i] : tops[part];
  I as_high[parts] = {};  // how many of them are
  for (int part = 0; part < parts; ++part)
    for (int other = 0; other < parts; ++other) as_high[part] += tops[other] >= tops[part];
  I top = 0;
  for (int part = 0; part < parts; ++part) top = as_high[part] >= 4 && tops[part] > top ? tops[part] : top;
  return top;
}

// Where magnitudes have bins of their own: from `floor` to `top`, a multiple of 2^shift each. Those outside share the
// lowest odd bin and the last.
template <class I>
struct RankWindow {
  I floor, top;
  int shift;
};

template <class I>
FK_FN bool holds_equals(const RankWindow<I>& window, int bin, int64_t columns) {
  if (bin % 2 == 0) return true;
  return window.shift == 1 && bin != rank_lowest_bin(columns) && bin != rank_bin_count(columns) - 1;
}

template <class I>
FK_FN RankWindow<I> window_below(I highest, int shift, int64_t columns) {
  const I step = I{1} << shift, top = (highest / step + 1) * step;
  return {top - (rank_bin_count(columns) / 2 - 1) * step, top, shift};
}

template <class I>
FK_FN RankWindow<I> whole_window(const I* magnitudes, int64_t columns) {
  return window_below(rank_top(magnitudes, columns), rank_shift<I>(columns), columns);
}

// The window of those magnitudes that share an odd bin.
template <class I>
FK_FN RankWindow<I> window_of_bin(const I* magnitudes, int64_t columns, const RankWindow<I>& window, int bin) {
  const int bin_count = rank_bin_count(columns);
  const I step = I{1} << window.shift, from = window.floor + bin / 2 * step;
  const I above = bin == rank_lowest_bin(columns) ? 0 : from;
  const I below = bin == bin_count - 1 ? std::numeric_limits<I>::max() : from + step;
  I least = below, most = above;
  for (int64_t i = 0; i < columns; ++i) {
    const I magnitude = magnitudes[i];
    const bool inside = magnitude > above && magnitude < below;
    least = inside && magnitude < least ? magnitude : least;
    most = inside && magnitude > most ? magnitude : most;
  }
  int shift = rank_shift<I>(columns);
  while (shift > 1 && (most - least) >> shift < bin_count / 8) --shift;
  return window_below(most, shift, columns);
}

template <class I>
FK_FN void rank_bins(const I* magnitudes, int64_t columns, const RankWindow<I>& window, uint16_t* bins) {
  const auto [floor, top, shift] = window;
  const I step = I{1} << shift, lowest = rank_lowest_bin(columns) / 2 * step + 1;
  for (int64_t i = 0; i < columns; ++i) {
    const I magnitude = magnitudes[i];
    const I capped = magnitude < top + 1 ? magnitude : top + 1;
    const I above = capped - floor > lowest ? capped - floor : lowest;
    const I place = magnitude == 0 ? 0 : above;
    bins[i] = static_cast<uint16_t>((place >> shift) + ((place + (step - 1)) >> shift));
  }
}

// Neighbours are often equal: counted in four segments in turn, one count need not wait for the last.
FK_FN void count_bins(const uint16_t* bins, int64_t columns, uint16_t* counts) {
  const auto [segments, length] = rank_segments(columns);
  const int bin_count = rank_bin_count(columns);
  memset(counts, 0, static_cast<size_t>(segments * bin_count) * 2);
  for (int64_t first = 0; first < columns; first += 4 * length, counts += 4 * bin_count) {
    const uint16_t* const from = bins + first;
    const int64_t n = columns - first < 4 * length ? columns - first : 4 * length;
    const int64_t common = n > 3 * length ? n - 3 * length : 0;
    for (int64_t i = 0; i < common; ++i)
#pragma GCC unroll 4
      for (int segment = 0; segment < 4; ++segment) ++counts[segment * bin_count + from[segment * length + i]];
    for (int64_t segment = 0; segment < 4; ++segment)
      for (int64_t i = segment * length + common; i < (segment + 1) * length && i < n; ++i)
        ++counts[segment * bin_count + from[i]];
  }
}

// Sums the counts over segments, then over bins.
template <class V>
FK_FN void sum_counts(const uint16_t* counts, int64_t columns, uint32_t* below) {
  constexpr int lanes = lane_count<V> > 4 ? lane_count<V> : 4;
  using I = typename Lanes<lanes>::I;
  using Counts = typename Lanes<lanes>::U16;
  const int64_t segments = rank_segments(columns).count;
  const int bin_count = rank_bin_count(columns);
  I sum{};
  for (int bin = 0; bin < bin_count; bin += lanes) {
    I total{};
    for (int64_t segment = 0; segment < segments; ++segment)
      total += widen(load_unaligned<Counts>(counts + segment * bin_count + bin));
    I running = total;
    running += from_lanes_below<1>(running);
    running += from_lanes_below<2>(running);
    if constexpr (lanes > 4) running += from_lanes_below<4>(running);
    if constexpr (lanes > 8) running += from_lanes_below<8>(running);
    const I before = sum + running - total;
    memcpy(below + bin, &before, sizeof before);
    sum += __builtin_shuffle(running, I{} + (lanes - 1));
  }
  below[bin_count] = static_cast<uint32_t>(sum[0]);
}

}  // namespace fk
