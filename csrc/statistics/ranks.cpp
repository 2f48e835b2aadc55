// ranks.cpp: brackets ranks by a histogram of the row, counts the few that it leaves open.
#include "statistics/ranks.hpp"

#include <algorithm>

#include "core/draws.hpp"

namespace fk {
namespace {

// Bins in the order of the magnitudes: one for 0, the topmost octaves finely, everything between in the second.
template <class Bits>
class Bins {
 public:
  explicit Bins(Bits largest) {
    const Bits top = largest >> kShift;
    floor_ = top >= kRankBins - 2 ? top - (kRankBins - 2) : 0;
  }
  uint32_t of(Bits magnitude) const {
    const Bits place = magnitude >> kShift;
    return magnitude == 0 ? 0 : place > floor_ ? static_cast<uint32_t>(place - floor_) + 1 : 1;
  }

 private:
  static constexpr int kShift = (sizeof(Bits) == 8 ? 52 : 23) - 6;  // 64 bins an octave
  Bits floor_;
};

// An element whose bin leaves open whether its rank is at least `least_rank`.
struct Open {
  uint32_t element, least_rank, bin;
};

void set(uint8_t* bits, int64_t bit) { bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | (1 << (bit % 8))); }

// Of equal magnitudes the first has the higher rank.
template <class Bits>
int64_t count_rank(std::span<const Bits> row, size_t element) {
  const Bits own = row[element];
  int64_t rank = 0;
  for (size_t i = 0; i < element; ++i) rank += row[i] < own;
  for (size_t i = element + 1; i < row.size(); ++i) rank += row[i] <= own;
  return rank;
}

// Puts the elements of the wanted bins at the places of their ranks. `below`: the rank each bin begins with.
template <class Bits>
void place_by_rank(std::span<const Bits> row, const Bins<Bits>& bins, const uint32_t* below, std::span<const Open> open,
                   uint32_t* placed) {
  uint32_t next[kRankBins];
  bool wanted[kRankBins] = {};
  for (const Open& one : open) {
    wanted[one.bin] = true;
    next[one.bin] = below[one.bin];
  }
  for (size_t i = row.size(); i-- > 0;) {  // from the last, which has the lowest rank of equals
    const uint32_t bin = bins.of(row[i]);
    if (wanted[bin]) placed[next[bin]++] = static_cast<uint32_t>(i);
  }
  const auto lower = [&](uint32_t a, uint32_t b) { return row[a] != row[b] ? row[a] < row[b] : a > b; };
  for (const Open& one : open) {
    if (!wanted[one.bin]) continue;  // done already
    wanted[one.bin] = false;
    uint32_t* const first = placed + below[one.bin];
    uint32_t* const last = placed + below[one.bin + 1];
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
  for (uint32_t draw = lowest_; draw < kept(columns - 1); ++draw) {
    // Ranks rise by less than one draw in long rows: jump near the answer, then walk.
    while (kept(rank) <= draw) {
      int64_t step = 1;
      while (rank + 2 * step < columns && kept(rank + 2 * step) <= draw) step *= 2;
      rank += step;
    }
    ranks_.push_back(static_cast<uint32_t>(rank));
  }
}

template <class Bits>
void keep_by_rank(std::span<const Bits> row, int64_t from, std::span<const uint16_t> draws, const RankTable& table,
                  uint8_t* bits, int64_t first_bit, char* scratch) {
  Bits largest = 0;
  for (const Bits magnitude : row) largest = std::max(largest, magnitude);
  const Bins<Bits> bins(largest);
  uint32_t below[kRankBins + 1] = {};
  for (const Bits magnitude : row) ++below[bins.of(magnitude) + 1];
  for (int bin = 0; bin < kRankBins; ++bin) below[bin + 1] += below[bin];

  Open* const open = reinterpret_cast<Open*>(scratch);
  uint32_t* const placed = reinterpret_cast<uint32_t*>(open + row.size());
  size_t still_open = 0;
  const auto bit_of = [&](size_t element) { return first_bit + static_cast<int64_t>(element) - from; };
  for (size_t i = 0; i < draws.size(); ++i) {
    if (table.never(draws[i])) continue;
    const size_t element = static_cast<size_t>(from) + i;
    if (!table.always(draws[i])) {
      const uint32_t bin = bins.of(row[element]), least = table.least_rank(draws[i]);
      if (least >= below[bin + 1]) continue;
      if (least > below[bin]) {
        open[still_open++] = {static_cast<uint32_t>(element), least, bin};
        continue;
      }
    }
    set(bits, bit_of(element));
  }

  constexpr size_t few = 3;  // counting their ranks one by one is cheaper
  if (still_open > few) place_by_rank(row, bins, below, {open, still_open}, placed);
  for (size_t i = 0; i < still_open; ++i) {
    const Open& one = open[i];
    // The elements at places from least_rank on have that rank: is this one of them?
    const auto lower = [&](uint32_t a, uint32_t b) { return row[a] != row[b] ? row[a] < row[b] : a > b; };
    const bool kept = still_open <= few ? count_rank(row, one.element) >= one.least_rank
                                        : !lower(one.element, placed[one.least_rank]);
    if (kept) set(bits, bit_of(one.element));
  }
}

template void keep_by_rank<uint32_t>(std::span<const uint32_t>, int64_t, std::span<const uint16_t>, const RankTable&,
                                     uint8_t*, int64_t, char*);
template void keep_by_rank<uint64_t>(std::span<const uint64_t>, int64_t, std::span<const uint16_t>, const RankTable&,
                                     uint8_t*, int64_t, char*);

}  // namespace fk
