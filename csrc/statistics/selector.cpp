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

int64_t Selector::wanted_entries(int64_t n) { return std::min(n, std::max<int64_t>(kUnsampled, n / 24)); }

Selector::Selector(int64_t n, int64_t keep, int64_t magnitude_end, int64_t tile_elements, std::span<uint64_t> entries)
    : n_(n),
      keep_(keep),
      end_(magnitude_end),
      tile_elements_(tile_elements),
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
  const auto inside = std::count_if(sorted.begin(), sorted.end(), [&](int64_t m) { return m >= low_ && m < high_; });
  choose_pass(static_cast<int64_t>(static_cast<double>(inside) / static_cast<double>(size) * static_cast<double>(n_)));
}

// The cheapest pass that is likely to settle the bracket [low, high).
void Selector::choose_pass(int64_t expected_inside) {
  above_ = inside_ = collected_ = 0;
  const uint64_t widest = static_cast<uint64_t>(high_ - low_ - 1);
  const int key_bits = static_cast<int>(std::bit_width(widest));
  if (expected_inside <= static_cast<int64_t>(entries_.size()) && key_bits + index_bits_ <= 64) {
    pass_ = Pass::collect;
  } else if (widest == 0) {
    pass_ = Pass::count;
    equals_by_tile_.assign(static_cast<size_t>((n_ + tile_elements_ - 1) / tile_elements_), 0);
  } else {
    pass_ = Pass::histogram;
    shift_ = std::max(0, key_bits - 11);
    bins_.assign(kBins, 0);
  }
}

void Selector::add(int64_t tile, int64_t above, int64_t inside, std::span<const uint64_t> entries,
                   std::span<const uint32_t> bins) {
  const std::lock_guard lock(mutex_);
  above_ += above;
  inside_ += inside;
  const int64_t room = static_cast<int64_t>(entries_.size()) - collected_;
  const int64_t taken = std::min<int64_t>(room, static_cast<int64_t>(entries.size()));
  std::copy_n(entries.begin(), taken, entries_.begin() + collected_);
  collected_ += taken;
  for (size_t bin = 0; bin < bins.size(); ++bin) bins_[bin] += bins[bin];
  if (pass_ == Pass::count) equals_by_tile_[static_cast<size_t>(tile)] += inside;
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
  if (above_ >= keep_) {  // the sample misled: the cut lies above the bracket
    low_ = high_;
    high_ = end_;
    return choose_pass(above_);
  }
  if (above_ + inside_ < keep_) {
    high_ = low_;
    low_ = 0;
    return choose_pass(n_ - above_ - inside_);
  }
  if (high_ == 1) return finish(0, n_ - 1);
  if (pass_ == Pass::histogram) return locate_bin();
  if (pass_ == Pass::count) return locate_tile();
  if (collected_ == inside_) return finish_from_entries();
  choose_pass(inside_);
}

void Selector::finish_from_entries() {
  const int64_t rank = keep_ - above_ - 1;
  std::nth_element(entries_.begin(), entries_.begin() + rank, entries_.begin() + collected_, std::greater<>());
  const uint64_t mask = (uint64_t{1} << index_bits_) - 1;
  const uint64_t entry = entries_[static_cast<size_t>(rank)];
  finish(low_ + static_cast<int64_t>(entry >> index_bits_), static_cast<int64_t>(mask - (entry & mask)));
}

void Selector::locate_bin() {
  int64_t wanted = keep_ - above_;
  int64_t bin = kBins - 1;
  while (static_cast<int64_t>(bins_[static_cast<size_t>(bin)]) < wanted)
    wanted -= static_cast<int64_t>(bins_[static_cast<size_t>(bin--)]);
  const int64_t inside = static_cast<int64_t>(bins_[static_cast<size_t>(bin)]);
  low_ += bin << shift_;
  high_ = std::min(high_, low_ + (int64_t{1} << shift_));
  if (high_ == 1) return finish(0, n_ - 1);
  choose_pass(inside);
}

void Selector::locate_tile() {
  wanted_equal_ = keep_ - above_;
  pinpoint_tile_ = 0;
  while (equals_by_tile_[static_cast<size_t>(pinpoint_tile_)] < wanted_equal_)
    wanted_equal_ -= equals_by_tile_[static_cast<size_t>(pinpoint_tile_++)];
  pass_ = Pass::pinpoint;
}

// A cut at magnitude 0 keeps every element above 0 and looks for no index: a zero delta has nothing to keep.
void Selector::finish(int64_t threshold, int64_t last) {
  cut_ = {threshold, threshold == 0 ? -1 : last};
  pass_ = Pass::done;
}

}  // namespace fk
