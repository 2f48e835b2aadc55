// selector.cpp: decides which pass comes next on the way to the k-th magnitude.
#include "statistics/selector.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

namespace fk {
namespace {

// Deterministic jitter in [0, 1): evenly spaced runs could fall on the same columns of every row.
double jitter(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace

int64_t Selector::keep_for(double density, int64_t n) {
  if (density <= 0 || n == 0) return 0;
  if (density >= 1) return n;
  return std::max<int64_t>(1, static_cast<int64_t>(std::floor(density * static_cast<double>(n))));
}

int64_t Selector::wanted_entries(int64_t n) {
  constexpr int64_t kPlenty = 1 << 23;
  return std::min(n, std::max({kUnsampled, std::min(n / 24, kPlenty), n / 512}));
}

Selector::Selector(int64_t n, int64_t keep, int64_t magnitude_end, int64_t tile_count, std::span<uint64_t> entries)
    : n_(n),
      keep_(keep),
      end_(magnitude_end),
      tile_count_(tile_count),
      entries_(entries),
      index_bits_(std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(n - 1, 1)))))),
      high_(magnitude_end) {
  if (keep >= n) {
    finish(0, -1);
  } else if (keep <= 0) {
    finish(end_, -1);
  } else if (n <= kUnsampled) {
    choose_pass(n);
  } else {
    // The bracket, 8 standard errors wide, should fill half of the buffer: its width falls with the root of the sample.
    const double p = static_cast<double>(keep) / static_cast<double>(n);
    const double capacity = static_cast<double>(entries_.size());
    const double wanted = std::pow(16.0 * std::sqrt(p * (1 - p)) * static_cast<double>(n) / capacity, 2.0);
    const double usual = std::clamp(static_cast<double>(n) / 128, 4096.0, 65536.0);
    const double most = std::min(static_cast<double>(n) / 4, capacity / 2);
    runs_ = std::max<int64_t>(1, static_cast<int64_t>(std::min(std::max(wanted, usual), most)) / kRun);
    pass_ = Pass::sample;
  }
}

int64_t Selector::run_start(int64_t run) const {
  const double room = static_cast<double>(n_ - kRun) / static_cast<double>(runs_);
  return static_cast<int64_t>((static_cast<double>(run) + jitter(static_cast<uint64_t>(run))) * room);
}

void Selector::bracket_by_sample() {
  int64_t* const sample = sample_run(0);
  const int64_t size = runs_ * kRun;
  const double rank = static_cast<double>(keep_) / static_cast<double>(n_) * static_cast<double>(size);
  const std::span sorted(sample + size, static_cast<size_t>(size));  // the buffer's other half
  std::copy_n(sample, size, sorted.begin());
  const auto at = [&](int64_t position) {
    std::nth_element(sorted.begin(), sorted.begin() + position, sorted.end(), std::greater<>());
    return sorted[static_cast<size_t>(position)];
  };
  // Neighbours in a row resemble one another, so the error is measured between runs, not assumed from their size.
  const int64_t middle = at(std::min<int64_t>(size - 1, static_cast<int64_t>(rank)));
  double squares = 0, total = 0;
  for (int64_t run = 0; run < runs_; ++run) {
    const auto over = static_cast<double>(
        std::count_if(sample + run * kRun, sample + (run + 1) * kRun, [=](int64_t m) { return m > middle; }));
    total += over;
    squares += over * over;
  }
  const double variance = std::max(0.0, squares - total * total / static_cast<double>(runs_));
  const double margin = 4 * std::sqrt(variance) + 4;
  const int64_t from = static_cast<int64_t>(rank - margin), to = static_cast<int64_t>(rank + margin) + 1;
  high_ = from < 0 ? end_ : at(from) + 1;
  low_ = to >= size ? 0 : at(to);
  const auto end = std::partition(sorted.begin(), sorted.end(), [&](int64_t m) { return m >= low_ && m < high_; });
  const int64_t light = name_heavy({sorted.begin(), end});
  choose_pass(static_cast<int64_t>(static_cast<double>(light) / static_cast<double>(size) * static_cast<double>(n_)));
}

// Names the most frequent magnitudes of the sample's bracket, and returns how many of it are of another.
int64_t Selector::name_heavy(std::span<int64_t> inside) {
  std::sort(inside.begin(), inside.end());
  int64_t count[kHeavy] = {};
  for (size_t i = 0; i < inside.size();) {
    size_t end = i + 1;
    while (end < inside.size() && inside[end] == inside[i]) ++end;
    const auto equals = static_cast<int64_t>(end - i);
    const int slot = equals > count[0] ? 0 : equals > count[1] ? 1 : kHeavy;
    if (slot == 0) {
      count[1] = count[0];
      heavy_[1] = heavy_[0];
    }
    if (slot < kHeavy && equals * 512 > runs_ * kRun) {  // one in 512 of the tensor: worth two comparisons per element
      count[slot] = equals;
      heavy_[slot] = inside[i];
    }
    i = end;
  }
  if (heavy_[1] > heavy_[0]) std::swap(heavy_[0], heavy_[1]);
  return static_cast<int64_t>(inside.size()) - count[0] - count[1];
}

// The cheapest pass that is likely to settle the bracket [low, high).
void Selector::choose_pass(int64_t expected_inside) {
  above_ = inside_ = collected_ = equal_[0] = equal_[1] = 0;
  const uint64_t widest = static_cast<uint64_t>(high_ - low_ - 1);
  const int key_bits = static_cast<int>(std::bit_width(widest));
  if (widest == 0) heavy_[0] = low_;
  if (widest == 0 || (expected_inside <= static_cast<int64_t>(entries_.size()) && key_bits + index_bits_ <= 64)) {
    pass_ = Pass::collect;
    for (int which = 0; which < kHeavy; ++which)
      if (heavy_[which] >= 0) equals_by_tile_[which].assign(static_cast<size_t>(tile_count_), 0);
  } else {
    pass_ = Pass::histogram;
    heavy_[0] = heavy_[1] = -1;
    shift_ = std::max(0, key_bits - 11);
    bins_.assign(kBins, 0);
  }
}

void Selector::add(int64_t tile, const Found& found) {
  const std::lock_guard lock(mutex_);
  above_ += found.above;
  inside_ += found.inside;
  for (int which = 0; which < kHeavy; ++which) {
    if (found.equal[which] == 0) continue;
    equal_[which] += found.equal[which];
    equals_by_tile_[which][static_cast<size_t>(tile)] += found.equal[which];
  }
  const int64_t room = static_cast<int64_t>(entries_.size()) - collected_;
  const int64_t taken = std::min<int64_t>(room, static_cast<int64_t>(found.entries.size()));
  std::copy_n(found.entries.begin(), taken, entries_.begin() + collected_);
  collected_ += taken;
  for (size_t bin = 0; bin < found.bins.size(); ++bin) bins_[bin] += found.bins[bin];
}

void Selector::advance() {
  switch (pass_) {
    case Pass::sample:
      return bracket_by_sample();
    case Pass::pinpoint:
      return finish(cut_.threshold, cut_.last);
    case Pass::done:
      return;
    default:
      return settle();
  }
}

void Selector::settle() {
  const int64_t inside = inside_ + equal_[0] + equal_[1];
  if (above_ < keep_ && keep_ <= above_ + inside) return settle_rank();
  heavy_[0] = heavy_[1] = -1;  // the sample misled
  if (above_ >= keep_) {
    low_ = high_;
    high_ = end_;
    choose_pass(above_);
  } else {
    high_ = low_;
    low_ = 0;
    choose_pass(n_ - above_ - inside);
  }
}

// The cut lies in the bracket. Walk down it: collected entries and heavy magnitudes in turn.
void Selector::settle_rank() {
  if (high_ == 1) return finish(0, -1);
  if (pass_ == Pass::histogram) return take_bin();
  if (collected_ < inside_) {
    heavy_[0] = heavy_[1] = -1;
    return choose_pass(inside_ + equal_[0] + equal_[1]);
  }
  int64_t rank = keep_ - above_ - 1;  // from 0, in the bracket
  int64_t passed = 0;                 // heavy elements above
  for (int which = 0; which < kHeavy; ++which) {
    if (heavy_[which] < 0) continue;
    const uint64_t first = static_cast<uint64_t>(heavy_[which] - low_ + 1) << index_bits_;  // the least entry above it
    const auto entries = entries_.first(static_cast<size_t>(collected_));
    const int64_t lighter = heavy_[which] + 1 >= high_ ? 0
                                                       : std::count_if(entries.begin(), entries.end(),
                                                                       [=](uint64_t entry) { return entry >= first; });
    if (rank < passed + lighter) break;
    if (rank < passed + lighter + equal_[which]) return take_heavy(which, rank - passed - lighter + 1);
    passed += equal_[which];
  }
  take_entry(rank - passed);
}

void Selector::take_entry(int64_t rank) {
  std::nth_element(entries_.begin(), entries_.begin() + rank, entries_.begin() + collected_, std::greater<>());
  const uint64_t mask = (uint64_t{1} << index_bits_) - 1;
  const uint64_t entry = entries_[static_cast<size_t>(rank)];
  finish(low_ + static_cast<int64_t>(entry >> index_bits_), static_cast<int64_t>(mask - (entry & mask)));
}

void Selector::take_heavy(int which, int64_t wanted) {
  if (heavy_[which] == 0) return finish(0, -1);
  const std::vector<int64_t>& equals = equals_by_tile_[which];
  pinpoint_tile_ = 0;
  while (equals[static_cast<size_t>(pinpoint_tile_)] < wanted) wanted -= equals[static_cast<size_t>(pinpoint_tile_++)];
  wanted_equal_ = wanted;
  cut_.threshold = heavy_[which];
  pass_ = Pass::pinpoint;
}

void Selector::take_bin() {
  int64_t wanted = keep_ - above_;
  size_t bin = kBins - 1;
  while (static_cast<int64_t>(bins_[bin]) < wanted) wanted -= static_cast<int64_t>(bins_[bin--]);
  const auto inside = static_cast<int64_t>(bins_[bin]);
  low_ += static_cast<int64_t>(bin) << shift_;
  // In this order: the last bin of double magnitudes ends beyond int64.
  high_ = low_ + std::min(high_ - low_, int64_t{1} << shift_);
  high_ == 1 ? finish(0, -1) : choose_pass(inside);
}

// A cut at magnitude 0 keeps every element above 0 and looks for no index: a zero delta has nothing to keep.
void Selector::finish(int64_t threshold, int64_t last) {
  cut_ = {threshold, threshold == 0 ? -1 : last};
  pass_ = Pass::done;
}

}  // namespace fk
