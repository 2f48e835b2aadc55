// ranks.hpp: which elements of a row are kept when the probability rises with the rank of their magnitude.
//
// An element of draw u is kept if its rank is at least the smallest rank r with u < kept_draws(p(r)). A histogram of
// the row brackets the rank, and only where the bracket does not decide is the rank itself counted. Rows are never
// sorted.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fk {

// The least rank at which each draw is kept, for one model and one length of rows.
class RankTable {
 public:
  RankTable() = default;
  RankTable(double density, double epsilon, int64_t columns);

  bool empty() const { return ranks_.empty(); }
  struct View {
    const uint32_t* ranks;
    uint32_t lowest, last;
    // 0: kept at any rank; the row's length: at none.
    uint32_t operator()(uint32_t draw) const {
      const uint32_t place = draw < lowest ? 0 : draw - lowest + 1;
      return ranks[place < last ? place : last];
    }
  };
  View view() const { return {ranks_.data(), lowest_, static_cast<uint32_t>(ranks_.size()) - 1}; }

 private:
  uint32_t lowest_ = 0;
  std::vector<uint32_t> ranks_;  // of a lower draw, of the draws from `lowest_` on, of a higher one
};

// Bins in the order of the magnitudes: one for 0, the topmost eight octaves in equal parts of each, everything between
// in the second. The longer a row, the finer: the differences of bf16 numbers then have bins of their own.
inline constexpr int kRankBins = 2048;                                                                // at most
constexpr int rank_bin_bits(int64_t columns) { return columns < 2048 ? 6 : columns < 8192 ? 7 : 8; }  // of an octave
constexpr int rank_bin_count(int64_t columns) { return 8 << rank_bin_bits(columns); }
template <class Bits>
constexpr int rank_shift(int64_t columns) {
  return (sizeof(Bits) == 8 ? 52 : 23) - rank_bin_bits(columns);
}
constexpr int64_t rank_scratch_bytes(int64_t columns) { return (columns + 1) * 12; }

// Sets bit `first_bit + i` of `bits` where element from + i of the row is kept, for i < draws.size(). `magnitudes` is
// the whole row and `bins` its bins (see cpu/mass.hpp); Bits is uint32_t or uint64_t. `scratch` has
// rank_scratch_bytes(columns) bytes.
template <class Bits>
void keep_by_rank(std::span<const Bits> magnitudes, const uint16_t* bins, int64_t from, std::span<const uint16_t> draws,
                  const RankTable& table, uint8_t* bits, int64_t first_bit, char* scratch);

extern template void keep_by_rank<uint32_t>(std::span<const uint32_t>, const uint16_t*, int64_t,
                                            std::span<const uint16_t>, const RankTable&, uint8_t*, int64_t, char*);
extern template void keep_by_rank<uint64_t>(std::span<const uint64_t>, const uint16_t*, int64_t,
                                            std::span<const uint16_t>, const RankTable&, uint8_t*, int64_t, char*);

}  // namespace fk
