// ranks.cpp: brackets ranks by a histogram of the row, counts the few that it leaves open.
#include "statistics/ranks.hpp"

#include <algorithm>
#include <cstring>

#include "core/draws.hpp"

namespace fk {
namespace {

// Of a row: how many elements lie in lower bins, and which bins hold different magnitudes.
struct BinTable {
  uint32_t below[kRankBins + 1];
  bool mixed[kRankBins];
};

template <class Bits>
void fill_table(std::span<const Bits> row, const uint16_t* bins, BinTable& table) {
  const int bin_count = rank_bin_count(static_cast<int64_t>(row.size()));
  // Neighbours are often equal: counted in turns, so that one count need not wait for the last.
  struct Tally {
    uint32_t count;
    Bits ones, zeros;  // bits that are one, or zero, in some magnitude
  };
  Tally tallies[2][kRankBins];
  for (auto& tally : tallies) std::fill_n(tally, bin_count, Tally{});
  const auto add = [&](int turn, size_t i) {
    Tally& tally = tallies[turn][bins[i]];
    ++tally.count;
    tally.ones |= row[i];
    tally.zeros |= ~row[i];
  };
  size_t i = 0;
  for (; i + 2 <= row.size(); i += 2) {
    add(0, i);
    add(1, i + 1);
  }
  if (i < row.size()) add(0, i);
  uint32_t total = 0;
  for (int bin = 0; bin < bin_count; ++bin) {
    const Tally &one = tallies[0][bin], &other = tallies[1][bin];
    table.below[bin] = total;
    table.mixed[bin] = ((one.ones | other.ones) & (one.zeros | other.zeros)) != 0;
    total += one.count + other.count;
  }
  table.below[bin_count] = total;
}

// Zeros and ones to bits, which are zero so far.
void pack(std::span<const uint8_t> ones, uint8_t* bits, int64_t first_bit) {
  const auto set = [&](int64_t bit, unsigned value) {
    bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | (value << (bit % 8)));
  };
  size_t i = 0;
  for (; i < ones.size() && (first_bit + static_cast<int64_t>(i)) % 8; ++i)
    set(first_bit + static_cast<int64_t>(i), ones[i]);
  for (; i + 8 <= ones.size(); i += 8) {
    uint64_t eight;
    std::memcpy(&eight, ones.data() + i, 8);
    bits[(first_bit + static_cast<int64_t>(i)) / 8] = static_cast<uint8_t>((eight * 0x0102040810204080u) >> 56);
  }
  for (; i < ones.size(); ++i) set(first_bit + static_cast<int64_t>(i), ones[i]);
}

template <class Bits>
bool lower_rank(std::span<const Bits> row, uint32_t a, uint32_t b) {
  return row[a] != row[b] ? row[a] < row[b] : a > b;
}

// Of equal magnitudes the first has the higher rank.
template <class Bits>
int64_t count_rank(std::span<const Bits> row, size_t element) {
  const Bits own = row[element];
  Bits lower = 0, equal_after = 0;
  for (const Bits other : row) lower += other < own;
  for (size_t i = element + 1; i < row.size(); ++i) equal_after += row[i] == own;
  return static_cast<int64_t>(lower + equal_after);
}

// Puts the elements of the wanted bins at the places of their ranks. `below`: the rank each bin begins with.
template <class Bits>
void place_by_rank(std::span<const Bits> row, const uint16_t* bins, const uint32_t* below,
                   std::span<const uint32_t> open, uint32_t* placed) {
  uint32_t next[kRankBins];
  bool wanted[kRankBins] = {};
  for (const uint32_t element : open) {
    wanted[bins[element]] = true;
    next[bins[element]] = below[bins[element]];
  }
  for (size_t i = row.size(); i-- > 0;) {  // from the last, which has the lowest rank of equals
    const uint32_t bin = bins[i];
    if (wanted[bin]) placed[next[bin]++] = static_cast<uint32_t>(i);
  }
  const auto lower = [&](uint32_t a, uint32_t b) { return lower_rank(row, a, b); };
  for (const uint32_t element : open) {
    const uint32_t bin = bins[element];
    if (!wanted[bin]) continue;  // done already
    wanted[bin] = false;
    uint32_t* const first = placed + below[bin];
    uint32_t* const last = placed + below[bin + 1];
    if (!std::is_sorted(first, last, lower)) std::sort(first, last, lower);
  }
}

}  // namespace

RankTable::RankTable(double density, double epsilon, int64_t columns) {
  const auto kept = [&](int64_t rank) {
    if (columns == 1) return kept_draws(density);
    const double place = static_cast<double>(rank) / static_cast<double>(columns - 1);
    return kept_draws((density - epsilon) + (2 * epsilon) * place);
  };
  lowest_ = kept(0);
  int64_t rank = 0;
  ranks_.push_back(0);
  for (uint32_t draw = lowest_; draw < kept(columns - 1); ++draw) {
    // Ranks rise by less than one draw in long rows: jump near the answer, then walk.
    while (kept(rank) <= draw) {
      int64_t step = 1;
      while (rank + 2 * step < columns && kept(rank + 2 * step) <= draw) step *= 2;
      rank += step;
    }
    ranks_.push_back(static_cast<uint32_t>(rank));
  }
  ranks_.push_back(static_cast<uint32_t>(columns));
}

template <class Bits>
void keep_by_rank(std::span<const Bits> row, const uint16_t* bins, int64_t from, std::span<const uint16_t> draws,
                  const RankTable& ranks, uint8_t* bits, int64_t first_bit, char* scratch) {
  if (row.size() <= 32) {  // a table costs more than it saves
    for (size_t d = 0; d < draws.size(); ++d) {
      const int64_t bit = first_bit + static_cast<int64_t>(d);
      const bool kept = count_rank(row, static_cast<size_t>(from) + d) >= ranks.view()(draws[d]);
      bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | (kept << (bit % 8)));
    }
    return;
  }
  BinTable table;
  fill_table(row, bins, table);
  uint32_t next[kRankBins];  // the rank of a bin's last element that was not met yet, if its magnitudes are equal
  std::copy_n(table.below, rank_bin_count(static_cast<int64_t>(row.size())), next);

  uint32_t* const open = reinterpret_cast<uint32_t*>(scratch);  // elements whose bin leaves their rank open
  uint32_t* const placed = open + row.size() + 1;
  auto* const kept = reinterpret_cast<uint8_t*>(placed + row.size());  // 0 or 1 for each draw
  size_t still_open = 0;
  const auto count = static_cast<uint32_t>(draws.size());
  const uint32_t first = static_cast<uint32_t>(from);
  for (auto i = static_cast<uint32_t>(row.size()); i-- > first + count;) ++next[bins[i]];
  const RankTable::View least_rank = ranks.view();
  for (uint32_t d = count; d-- > 0;) {
    const uint32_t element = first + d, least = least_rank(draws[d]), bin = bins[element];
    kept[d] = least <= next[bin]++;
    open[still_open] = element;
    still_open += table.mixed[bin] & (least > table.below[bin]) & (least < table.below[bin + 1]);
  }

  constexpr size_t few = 8;  // counting their ranks one by one is cheaper
  if (still_open > few) place_by_rank(row, bins, table.below, {open, still_open}, placed);
  for (const uint32_t element : std::span(open, still_open)) {
    const uint32_t least = least_rank(draws[element - first]);
    // The elements at places from `least` on have that rank: is this one of them?
    kept[element - first] =
        still_open <= few ? count_rank(row, element) >= least : !lower_rank(row, element, placed[least]);
  }
  pack({kept, draws.size()}, bits, first_bit);
}

template void keep_by_rank<uint32_t>(std::span<const uint32_t>, const uint16_t*, int64_t, std::span<const uint16_t>,
                                     const RankTable&, uint8_t*, int64_t, char*);
template void keep_by_rank<uint64_t>(std::span<const uint64_t>, const uint16_t*, int64_t, std::span<const uint16_t>,
                                     const RankTable&, uint8_t*, int64_t, char*);

}  // namespace fk
