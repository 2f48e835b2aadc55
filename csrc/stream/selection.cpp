// selection.cpp: one selector for each cut of each model, all fed by the same tiles.
#include "stream/selection.hpp"

#include <algorithm>

#include "statistics/cut_ranks.hpp"

namespace fk {

Selection::Selection(const Method& method, const Values& values, int models, int64_t n, int64_t tile_count, bool f64,
                     std::span<char> scratch)
    : f64_(f64) {
  for (int k = 0; k < models; ++k) {
    const std::vector<int64_t> ranks = cut_ranks(method.sparsifier, values, k, n);
    for (int which = 0; which < static_cast<int>(ranks.size()); ++which)
      if (ranks[static_cast<size_t>(which)] != (which == 0 ? n : 0)) cuts_.push_back({k, which, nullptr});
  }
  const size_t capacity = scratch.size() / 8 / std::max<size_t>(1, cuts_.size());
  auto* entries = reinterpret_cast<uint64_t*>(scratch.data());
  for (CutOf& cut : cuts_) {
    const int64_t rank = cut_ranks(method.sparsifier, values, cut.model, n)[static_cast<size_t>(cut.which)];
    cut.selector =
        std::make_unique<Selector>(n, rank, magnitude_end(f64), tile_count, std::span<uint64_t>(entries, capacity));
    entries += capacity;
  }
}

Selection::Pass Selection::pass() const {
  Pass pass = Pass::done;
  for (const CutOf& cut : cuts_) {
    if (cut.selector->pass() == Selector::Pass::sample) return Pass::sample;
    if (cut.selector->pass() != Selector::Pass::done) pass = Pass::scan;
  }
  return pass;
}

void Selection::sample(const ReadMagnitudes& read) {
  for (CutOf& cut : cuts_) {
    Selector& selector = *cut.selector;
    if (selector.pass() != Selector::Pass::sample) continue;
    for (int64_t run = 0; run < selector.run_count(); ++run)
      read(cut.model, selector.run_start(run), selector.sample_run(run));
  }
}

namespace {
bool wants_tile(const Selector& selector, int64_t tile) {
  if (selector.pass() == Selector::Pass::pinpoint) return selector.pinpoint_tile() == tile;
  return selector.pass() == Selector::Pass::collect || selector.pass() == Selector::Pass::histogram;
}
}  // namespace

bool Selection::wants(int k, int64_t tile) const {
  return std::any_of(cuts_.begin(), cuts_.end(),
                     [&](const CutOf& cut) { return cut.model == k && wants_tile(*cut.selector, tile); });
}

void Selection::scan(int k, const DeltaSpan& span, int64_t first, int64_t tile, Isa isa) {
  for (CutOf& cut : cuts_)
    if (cut.model == k && wants_tile(*cut.selector, tile)) scan_tile(*cut.selector, span, first, tile, f64_, isa);
}

std::vector<ScanRequest> Selection::requests(int64_t tile) const {
  std::vector<ScanRequest> requests;
  for (const CutOf& cut : cuts_)
    if (wants_tile(*cut.selector, tile)) requests.push_back({cut.model, cut.selector.get()});
  return requests;
}

Selector& Selection::selector_of(const ScanRequest& request) {
  const auto found = std::find_if(cuts_.begin(), cuts_.end(),
                                  [&](const CutOf& cut) { return cut.selector.get() == request.selector; });
  return *found->selector;
}

void Selection::advance() {
  for (CutOf& cut : cuts_) cut.selector->advance();
}

std::vector<int64_t> Selection::ends(int64_t first, int64_t n) const {
  std::vector<int64_t> ends{n};
  for (const CutOf& cut : cuts_) {
    const int64_t last = cut.selector->cut().last;
    if (last >= first && last + 1 < first + n) ends.push_back(last + 1 - first);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

int64_t Selection::limit(const CutOf& of, int64_t first) const { return kept_above(of.selector->cut(), first, f64_); }

void Selection::apply(const Method& method, FoldParameters& parameters, int64_t first) const {
  for (const CutOf& cut : cuts_) method.set_cut(parameters, cut.model, cut.which, f64_, limit(cut, first));
}

std::pair<int64_t, int64_t> Selection::limits(int k, int64_t first) const {
  std::pair<int64_t, int64_t> limits{-1, highest()};
  for (const CutOf& cut : cuts_)
    if (cut.model == k) (cut.which == 0 ? limits.first : limits.second) = limit(cut, first);
  return limits;
}

TensorFacts Selection::facts(const Method& method, int models) const {
  TensorFacts facts;
  const auto count = static_cast<size_t>(models);
  facts.above.assign(count, {-1, -1, -1});
  if (method.sparsifier == Sparsifier::band) facts.ceiling.assign(count, {-1, highest(), highest()});
  for (const CutOf& cut : cuts_) {
    const int64_t last = cut.selector->cut().last;
    (cut.which == 0 ? facts.above : facts.ceiling)[static_cast<size_t>(cut.model)] = {last, limit(cut, last),
                                                                                      limit(cut, last + 1)};
  }
  return facts;
}

}  // namespace fk
