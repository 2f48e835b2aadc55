// test_selector.cpp: the k-th magnitude of distributions made to mislead the selector, in hardly any scratch.
#include <algorithm>
#include <functional>
#include <numeric>
#include <thread>

#include "check.hpp"
#include "random.hpp"
#include "statistics/selector.hpp"

using namespace fk;
using namespace fk::test;

namespace {

using Magnitudes = std::vector<int64_t>;
constexpr int64_t kEnds[] = {0x7f800002, 0x7ff0000000000002, 300};  // of fp32, of fp64, and few enough for ties
constexpr int64_t kTile = 1000;

// One tile's share of a pass, as selector.hpp describes it. Entries are handed over a few at a time.
void add_tile(Selector& selector, const Magnitudes& all, int64_t tile) {
  const auto n = static_cast<int64_t>(all.size());
  const int64_t first = tile * kTile, last = std::min(n, first + kTile);
  if (selector.pass() == Selector::Pass::pinpoint) {
    int64_t wanted = selector.wanted_equal();
    for (int64_t i = first; i < last; ++i)
      if (all[static_cast<size_t>(i)] == selector.cut().threshold && --wanted == 0) return selector.pinpointed(i);
    CHECK(false, "the wanted equal is not in tile ", tile);
  }
  const uint64_t mask = (uint64_t{1} << selector.index_bits()) - 1;
  std::vector<uint64_t> entries;
  std::vector<uint32_t> bins(Selector::kBins);
  Selector::Found found;
  for (int64_t i = first; i < last; ++i) {
    const int64_t magnitude = all[static_cast<size_t>(i)];
    const bool collects = selector.pass() == Selector::Pass::collect;
    if (magnitude >= selector.high()) {
      ++found.above;
    } else if (collects && (magnitude == selector.heavy(0) || magnitude == selector.heavy(1))) {
      ++found.equal[magnitude == selector.heavy(0) ? 0 : 1];
    } else if (magnitude >= selector.low()) {
      ++found.inside;
      const auto from_low = static_cast<uint64_t>(magnitude - selector.low());
      if (collects)
        entries.push_back(from_low << selector.index_bits() | (mask - static_cast<uint64_t>(i)));
      else
        ++bins.at(from_low >> selector.shift());
    }
    if (entries.size() == 100) {
      selector.add(tile, {.entries = entries});
      entries.clear();
    }
  }
  found.entries = entries;
  if (selector.pass() == Selector::Pass::histogram) found.bins = bins;
  selector.add(tile, found);
}

void run_pass(Selector& selector, const Magnitudes& all, int threads) {
  if (selector.pass() == Selector::Pass::sample) {
    for (int64_t run = 0; run < selector.run_count(); ++run)
      for (int64_t i = 0; i < Selector::kRun; ++i)
        selector.sample_run(run)[i] = all.at(static_cast<size_t>(selector.run_start(run) + i));
    return;
  }
  const int64_t tiles = (static_cast<int64_t>(all.size()) + kTile - 1) / kTile;
  if (selector.pass() == Selector::Pass::pinpoint) return add_tile(selector, all, selector.pinpoint_tile());
  std::vector<std::jthread> workers;
  for (int worker = 1; worker < threads; ++worker)
    workers.emplace_back([&, worker] {
      for (int64_t tile = worker; tile < tiles; tile += threads) add_tile(selector, all, tile);
    });
  for (int64_t tile = 0; tile < tiles; tile += threads) add_tile(selector, all, tile);
}

// Whatever the way, the cut keeps the first `keep` by falling magnitude and rising index, zeros left aside.
void check(const Magnitudes& all, int64_t keep, int64_t end, int64_t scratch, int threads, const std::string& about) {
  const auto n = static_cast<int64_t>(all.size());
  const std::unique_ptr<uint64_t[]> entries(new uint64_t[static_cast<size_t>(scratch)]);
  Selector selector(n, keep, end, (n + kTile - 1) / kTile, {entries.get(), static_cast<size_t>(scratch)});
  int passes = 0;
  for (; selector.pass() != Selector::Pass::done; selector.advance()) {
    CHECK(++passes < 40, about, ": the selector does not end");
    run_pass(selector, all, threads);
  }
  std::vector<int64_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return all[static_cast<size_t>(a)] > all[static_cast<size_t>(b)]; });
  const Cut& cut = selector.cut();
  for (int64_t rank = 0; rank < n; ++rank) {
    const int64_t index = order[static_cast<size_t>(rank)], magnitude = all[static_cast<size_t>(index)];
    const bool kept = magnitude > cut.threshold || (magnitude == cut.threshold && index <= cut.last);
    CHECK(magnitude == 0 || kept == (rank < keep), about, ": element ", index, " of magnitude ", magnitude, ", rank ",
          rank, " of which ", keep, " are kept; cut at ", cut.threshold, " up to ", cut.last);
  }
}

// Large where the selector will look for its sample, small elsewhere; or the other way.
Magnitudes away_from_the_sample(int64_t n, int64_t keep, int64_t end, int64_t scratch, bool large) {
  std::vector<uint64_t> entries(static_cast<size_t>(scratch));
  const Selector probe(n, keep, end, (n + kTile - 1) / kTile, entries);
  Magnitudes all;
  for (int64_t i = 0; i < n; ++i) all.push_back(i % 100 + (large ? 0 : end - 101));
  for (int64_t run = 0; run < probe.run_count(); ++run)
    for (int64_t i = 0; i < Selector::kRun; ++i)
      all[static_cast<size_t>(probe.run_start(run) + i)] = large ? end - 1 - i : i;
  return all;
}

using Shaping = std::function<int64_t(Random&, int64_t i, int64_t n, int64_t end)>;
const std::vector<std::pair<const char*, Shaping>> kDistributions{
    {"uniform", [](Random& random, int64_t, int64_t, int64_t end) { return random.below(end); }},
    {"all zero", [](Random&, int64_t, int64_t, int64_t) { return int64_t{0}; }},
    {"all the largest", [](Random&, int64_t, int64_t, int64_t end) { return end - 1; }},
    {"rising", [](Random&, int64_t i, int64_t n, int64_t end) { return end / n * i; }},
    {"falling", [](Random&, int64_t i, int64_t n, int64_t end) { return end / n * (n - 1 - i); }},
    {"two values by halves", [](Random&, int64_t i, int64_t n, int64_t) { return int64_t{i < n / 2 ? 7 : 8}; }},
    {"three values", [](Random& random, int64_t, int64_t, int64_t end) { return random.below(3) * (end / 4); }},
    {"neighbouring values", [](Random& random, int64_t, int64_t, int64_t end) { return end / 2 + random.below(40); }},
    {"one outlier", [](Random&, int64_t i, int64_t n, int64_t end) { return i == n / 3 ? end - 1 : end / 2; }},
    {"zeros but few",
     [](Random& random, int64_t, int64_t, int64_t end) { return random.one_in(500) ? random.below(end) : 0; }},
    {"powers of two", [](Random& random, int64_t, int64_t, int64_t end) { return (end - 1) >> random.below(60); }},
    {"blocks of equals", [](Random&, int64_t i, int64_t, int64_t end) { return (i / 64 * 37 % 101) * (end / 128); }},
};

void check_distributions(Random& random, int threads) {
  for (const int64_t n : {1, 2, 3, 999, 1000, 16384, 16385, 20011, 50000}) {
    for (const int64_t end : kEnds) {
      for (const auto& [name, shape] : kDistributions) {
        Magnitudes all;
        for (int64_t i = 0; i < n; ++i) all.push_back(shape(random, i, n, end));
        const std::vector<int64_t> keeps{0, 1, n / 5, n / 2, n - 1, n, random.below(n + 1)};
        const std::vector<int64_t> scratches = n <= Selector::kUnsampled
                                                   ? std::vector<int64_t>{0, 1, 50, n}
                                                   : std::vector<int64_t>{128, 1000, Selector::wanted_entries(n)};
        for (int again = 0; again < 2; ++again) {
          const int64_t keep = random.pick(keeps), scratch = random.pick(scratches);
          check(all, keep, end, scratch, threads,
                text(name, ", n ", n, ", keep ", keep, ", end ", end, ", scratch ", scratch));
        }
      }
    }
  }
}

void check_misled_samples(int threads) {
  for (const int64_t n : {16385, 60000})
    for (const int64_t end : {kEnds[0], kEnds[1]})
      for (const int64_t scratch : {int64_t{128}, Selector::wanted_entries(n)})
        for (const int64_t keep : {int64_t{1}, n / 10, n - 1})
          for (const bool large : {false, true})
            check(away_from_the_sample(n, keep, end, scratch, large), keep, end, scratch, threads,
                  text("sample ", large ? "too large" : "too small", ", n ", n, ", keep ", keep));
}

void check_how_many_are_kept() {
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{1} << 40}) {
    CHECK(Selector::keep_for(0, n) == 0 && Selector::keep_for(-1, n) == 0 && Selector::keep_for(1, n) == n, n);
    CHECK(Selector::keep_for(1e-300, n) == std::min<int64_t>(n, 1), n);
    CHECK(Selector::keep_for(1 - 0x1p-53, n) <= n, n);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Random random(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1);
  check_how_many_are_kept();
  for (const int threads : {1, 3}) {
    check_distributions(random, threads);
    check_misled_samples(threads);
  }
}
