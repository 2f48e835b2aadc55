// rank_limits.hpp: below which draw the elements of a group of bins are surely kept, and above which they are not.
#pragma once
#include "cpu/lanes_tables.hpp"
#include "statistics/ranks.hpp"

namespace fk {

struct GroupLimits {
  uint16_t low[kRankGroups], high[kRankGroups];
};

FK_FN GroupLimits limits_of(const RankOdds& odds, const uint32_t* below, int64_t columns) {
  GroupLimits limits;
  const auto limit = [](double draws) FK_INLINE_LAMBDA {
    return static_cast<uint16_t>(draws < 0 ? 0 : draws > 65535 ? 65535 : static_cast<int32_t>(draws));
  };
  uint32_t starts[kRankGroups + 1];
  for (int group = 0; group <= kRankGroups; ++group) starts[group] = below[group * rank_group_bins(columns)];
  for (int group = 0; group < kRankGroups; ++group)
    limits.low[group] = limit(odds.about(starts[group]) - RankOdds::kMargin);
  for (int group = 0; group < kRankGroups; ++group)
    limits.high[group] = limit(odds.about(starts[group + 1]) + RankOdds::kMargin - 1);
  // Zeros are the same kept or dropped: none is left open.
  limits.low[0] = limits.low[1];
  limits.high[0] = static_cast<uint16_t>(limits.low[0] > 0 ? limits.low[0] - 1 : 0);
  return limits;
}

// Of 64 elements: which draws are below the low limit of their group, and which lie from there up to the high limit.
struct BlockBits {
  uint64_t kept, open;
};

// The limits where W lanes find them. Of the 64 elements n count; what is read of the others does not matter.
template <int W>
class LimitTable {
 public:
  explicit FK_FN LimitTable(const GroupLimits& limits) : limits_(limits) {}
  FK_FN BlockBits compare(const uint16_t* bins, const uint16_t* draws, int64_t n, int group_shift) const {
    BlockBits bits{};
    for (int64_t i = n; i-- > 0;) {
      const int group = bins[i] >> group_shift;
      const uint64_t kept = draws[i] < limits_.low[group] ? 1 : 0, dropped = draws[i] > limits_.high[group] ? 1 : 0;
      bits.kept = 2 * bits.kept + kept;
      bits.open = 2 * bits.open + (1 ^ kept ^ dropped);
    }
    return bits;
  }

 private:
  const GroupLimits limits_;
};

#if defined(__SSE2__)
// Cannot look eight up at once: decides first what the limits of all groups decide.
template <>
class LimitTable<4> {
 public:
  explicit FK_FN LimitTable(const GroupLimits& limits) : limits_(limits) {}
  FK_FN BlockBits compare(const uint16_t* bins, const uint16_t* draws, int64_t n, int group_shift) const {
    const uint16_t least = limits_.low[0], most = limits_.high[kRankGroups - 1];
    BlockBits bits{};
    uint64_t unsure = 0;
    for (int part = 0; part < 64; part += 16) {
      const uint64_t kept = less_bits(draws + part, least);
      bits.kept |= kept << part;
      unsure |= (kept ^ (most < 65535 ? less_bits(draws + part, static_cast<uint16_t>(most + 1)) : 65535)) << part;
    }
    for (uint64_t rest = n < 64 ? unsure & ~(~uint64_t{0} << n) : unsure; rest; rest &= rest - 1) {
      const int i = __builtin_ctzll(rest);
      const int group = bins[i] >> group_shift;
      const uint64_t bit = rest & -rest;
      const uint64_t kept = draws[i] < limits_.low[group] ? 1 : 0, dropped = draws[i] > limits_.high[group] ? 1 : 0;
      bits.kept |= bit & -kept;
      bits.open |= bit & (kept + dropped - 1);
    }
    return bits;
  }

 private:
  const GroupLimits limits_;
};
#endif

#if defined(__AVX2__)
// By the upper halves of draws and limits: a few more are left open.
template <>
class LimitTable<8> {
 public:
  explicit FK_FN LimitTable(const GroupLimits& limits) {
    for (int group = 0; group < kRankGroups; ++group)
      for (int half = 0; half < 32; half += 16) {
        low_[group / 16][half + group % 16] = static_cast<uint8_t>(limits.low[group] >> 8);
        high_[group / 16][half + group % 16] = static_cast<uint8_t>(limits.high[group] >> 8);
      }
  }
  FK_FN BlockBits compare(const uint16_t* bins, const uint16_t* draws, int64_t, int group_shift) const {
    BlockBits bits{};
    for (int half = 0; half < 64; half += 32) {
      const Bytes group = narrow(bins + half, group_shift), draw = narrow(draws + half, 8);
      const uint32_t kept = less_bits(draw, look_up(low_, group)), dropped = less_bits(look_up(high_, group), draw);
      bits.kept |= uint64_t{kept} << half;
      bits.open |= uint64_t{~(kept | dropped)} << half;
    }
    return bits;
  }

 private:
  Bytes low_[4], high_[4];
};
#endif

#if defined(__AVX512BW__)
template <>
class LimitTable<16> {
 public:
  explicit FK_FN LimitTable(const GroupLimits& limits) {
    memcpy(low_, limits.low, sizeof low_);
    memcpy(high_, limits.high, sizeof high_);
  }
  FK_FN BlockBits compare(const uint16_t* bins, const uint16_t* draws, int64_t, int group_shift) const {
    BlockBits bits{};
    for (int half = 0; half < 64; half += 32) {
      const Shorts group = load_unaligned<Shorts>(bins + half) >> group_shift;
      const Shorts draw = load_unaligned<Shorts>(draws + half);
      const uint32_t kept = less_bits(draw, look_up(low_, group)), dropped = less_bits(look_up(high_, group), draw);
      bits.kept |= uint64_t{kept} << half;
      bits.open |= uint64_t{~(kept | dropped)} << half;
    }
    return bits;
  }

 private:
  Shorts low_[2], high_[2];
};
#endif

}  // namespace fk
