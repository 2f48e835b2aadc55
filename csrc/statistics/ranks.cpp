// ranks.cpp: sorts those bins of a row in which many ranks are asked for.
#include "statistics/ranks.hpp"

#include <algorithm>

namespace fk {

template <class Bits>
void settle_by_sorting(const RankRow<Bits>& row, const RankOdds& odds, int64_t open) {
  bool wanted[kRankBins] = {};
  uint32_t next[kRankBins];
  for (int64_t i = 0; i < open; ++i) {
    const uint16_t bin = row.bins[row.open[i]];
    wanted[bin] = true;
    next[bin] = row.below[bin];
  }
  for (int64_t i = row.columns; i-- > 0;)  // from the last, which has the lowest rank of equals
    if (wanted[row.bins[i]]) row.placed[next[row.bins[i]]++] = {row.magnitudes[i], static_cast<uint32_t>(i)};
  const auto lower = [](const RankPlace<Bits>& a, const RankPlace<Bits>& b) {
    return a.magnitude != b.magnitude ? a.magnitude < b.magnitude : a.element > b.element;
  };
  for (int bin = 0; bin < rank_bin_count(row.columns); ++bin) {
    if (!wanted[bin]) continue;
    RankPlace<Bits>* const first = row.placed + row.below[bin];
    RankPlace<Bits>* const last = row.placed + row.below[bin + 1];
    if (!std::is_sorted(first, last, lower)) std::sort(first, last, lower);
    for (const RankPlace<Bits>* at = first; at < last; ++at) {
      const int64_t i = at->element - row.from;
      if (i < 0 || i >= row.count) continue;
      const uint64_t bit = uint64_t{1} << (i % 64);
      row.kept[i / 64] = odds.keeps(at - row.placed, row.draws[i]) ? row.kept[i / 64] | bit : row.kept[i / 64] & ~bit;
    }
  }
}

template void settle_by_sorting<int32_t>(const RankRow<int32_t>&, const RankOdds&, int64_t);
template void settle_by_sorting<int64_t>(const RankRow<int64_t>&, const RankOdds&, int64_t);

}  // namespace fk
