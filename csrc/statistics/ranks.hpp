// ranks.hpp: the probability to be kept that rises with the rank of an element's magnitude in its row.
//
// The elements of a row are counted in bins of magnitude, which brackets each one's rank. Few draws fall between the
// probabilities at both ends of a bracket; only those elements' ranks are found (see cpu/ranks.hpp).
#pragma once
#include <cstdint>

#include "core/draws.hpp"
#include "core/portable.hpp"

namespace fk {

// Of one model, in rows of one length. Rank 0 is the smallest magnitude.
class RankOdds {
 public:
  RankOdds() = default;
  RankOdds(double density, double epsilon, int64_t columns)
      : lowest_(columns == 1 ? density : density - epsilon),
        rise_(columns == 1 ? 0 : 2 * epsilon),
        last_(columns == 1 ? 1 : static_cast<double>(columns - 1)),
        offset_(65536 * lowest_ + 0.5),
        slope_(65536 * rise_ / last_) {}

  FK_FN bool keeps(int64_t rank, uint32_t draw) const {
    return draw < kept_draws(lowest_ + rise_ * (static_cast<double>(rank) / last_));
  }
  // The number of draws that keep, before it is rounded down: less than kMargin from what keeps() computes.
  static constexpr double kMargin = 1.0 / 64;
  FK_FN double about(uint32_t rank) const {
    const auto shifted = static_cast<int32_t>(rank ^ 0x80000000u);  // processors convert signed integers
    return offset_ + slope_ * (shifted + 2147483648.0);
  }
  // Whether the draw keeps at all ranks from one to another, or at none; if neither, keeps() must be asked.
  // (Draw 0 is kept at the smallest probability above 0.)
  struct Verdict {
    uint64_t kept, dropped;  // 0 or 1
  };
  FK_FN Verdict judge(uint32_t least_rank, uint32_t highest_rank, uint32_t draw) const {
    // By signs: what a draw decides no processor foresees, and where it guesses it loses more than this takes.
    const auto negative = [](double value) FK_INLINE_LAMBDA { return bits_as<uint64_t>(value) >> 63; };
    const double needed = static_cast<int32_t>(draw) + 1;
    return {negative(needed - (about(least_rank) - kMargin)),
            negative((about(highest_rank) + kMargin) - needed) & (draw > 0)};
  }

 private:
  double lowest_ = 0, rise_ = 0, last_ = 1, offset_ = 0, slope_ = 0;
};

// Bins in the order of the magnitudes: bin 0 for zero, in a group of its own, then one for what lies far below the
// largest. In the octaves above, an even bin holds one magnitude and the next bin all that lie between it and the next
// even one: differences of bf16 numbers have few significant bits, so that most of them share even bins, where ranks
// follow from the order alone.
constexpr int rank_bin_bits(int64_t columns) {  // of an octave: the longer a row, the finer
  return columns < 128 ? 2 : columns < 512 ? 4 : columns < 4096 ? 5 : columns < 8192 ? 6 : 7;
}
constexpr int rank_bin_count(int64_t columns) { return 16 << rank_bin_bits(columns); }
inline constexpr int kRankBins = 16 << 7;  // at most
inline constexpr int kRankGroups = 64;     // of neighbouring bins
constexpr int rank_group_bins(int64_t columns) { return rank_bin_count(columns) / kRankGroups; }
constexpr int rank_lowest_bin(int64_t columns) { return rank_group_bins(columns) / 2 * 2 + 1; }  // but for 0's
template <class Bits>
constexpr int rank_shift(int64_t columns) {
  return (sizeof(Bits) == 8 ? 52 : 23) - rank_bin_bits(columns);
}

// A row is counted in segments, four at a time, whose counts fit 16 bits.
struct RankSegments {
  int64_t count, length;
};
constexpr RankSegments rank_segments(int64_t columns) {
  const int64_t fours = columns > 0 ? (columns + 8191) / 8192 : 1;
  return {4 * fours, (columns + 4 * fours - 1) / (4 * fours)};
}

// How far the elements of a bin of equals were counted, and how many were found.
struct RankPassed {
  uint32_t until, found;
};

template <class Bits>
struct RankPlace {
  Bits magnitude;
  uint32_t element;
};

// What is known of a row of magnitudes, Bits being int32_t or int64_t, and of the elements that are wanted.
template <class Bits>
struct RankRow {
  static constexpr int64_t kBeyond = 80;  // elements that may be read beyond the end of bins and draws

  int64_t columns = 0, from = 0, count = 0;  // wanted: `count` elements from `from` on
  Bits* magnitudes = nullptr;
  uint16_t* bins = nullptr;
  uint16_t* draws = nullptr;          // of the wanted elements
  uint64_t* kept = nullptr;           // a bit for each of them, the unused ones of the last word 0
  uint32_t* open = nullptr;           // elements whose ranks are yet to be found
  RankPlace<Bits>* placed = nullptr;  // room to sort the row
  uint32_t* below = nullptr;          // by bin: elements in lower bins; the last entry is the row's length
  RankPassed* passed = nullptr;       // by bin
  uint16_t* counts = nullptr;         // by segment and bin

  // Lays the arrays out from a place aligned to 64 bytes on, if there is one; returns the bytes they take.
  int64_t place(char* from_byte) {
    int64_t taken = 0;
    const auto take = [&]<class T>(T*& array, int64_t n) {
      if (from_byte) array = reinterpret_cast<T*>(from_byte + taken);
      taken += (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    };
    const int64_t bin_count = rank_bin_count(columns);
    take(magnitudes, columns);
    take(bins, columns + kBeyond);
    take(draws, columns + kBeyond);
    take(kept, columns / 64 + 1);
    take(open, columns);
    take(placed, columns);
    take(below, bin_count + 1);
    take(passed, bin_count);
    take(counts, rank_segments(columns).count * bin_count);
    return taken;
  }
};

// Settles the elements that fk_keep_by_rank left open, by sorting the bins they lie in.
template <class Bits>
void settle_by_sorting(const RankRow<Bits>& row, const RankOdds& odds, int64_t open);

extern template void settle_by_sorting<int32_t>(const RankRow<int32_t>&, const RankOdds&, int64_t);
extern template void settle_by_sorting<int64_t>(const RankRow<int64_t>&, const RankOdds&, int64_t);

}  // namespace fk
