// fold_run.cpp: carries a fold method's passes out on tiles.
#include "stream/fold_run.hpp"

#include <cmath>

#include "cpu/mass.hpp"
#include "statistics/tree_sum.hpp"

FK_KERNEL_TABLE(fk_mass, void, const fk::MassCall&);

namespace fk {

FoldRun::FoldRun(const MergeContext& context, const Job& job, std::span<char> slot)
    : context_(context), values_(context.call.values_of(job)), tiles_(context, job, false) {
  if (tiles_.count() == 0) return;
  const Method& method = *context.call.method;
  if (is_masked(method.sparsifier)) {
    const bool twice = context.call.measures_mass(job);
    const bool fits = static_cast<int64_t>(slot.size()) >= Masks::stored_bytes(job);
    masks_ = Masks(context, job, values_, twice && fits && tiles_.count() > 1 ? slot : std::span<char>());
  }
  if (context.model_cuts) {
    cuts_ = context.model_cuts;
    cut_offset_ = job.cut_offset;
  } else if (trims(method.sparsifier)) {
    own_cuts_ = Selection(method, values_, job.count(), job.units(), tiles_.count(), job.f64(), slot);
    cuts_ = &own_cuts_;
  }
  begin_scan();
}

void FoldRun::work(int64_t unit, TileBuffers& buffers) {
  switch (phase_) {
    case Phase::sample:
      return sample();
    case Phase::scan:
      return scan(unit, buffers);
    case Phase::mass:
      return measure(unit, buffers);
    case Phase::output:
      return fold(unit, buffers);
  }
}

bool FoldRun::advance() {
  if (phase_ == Phase::output) return false;
  if (phase_ == Phase::mass) {
    begin_output();
  } else {
    own_cuts_.advance();
    begin_scan();
  }
  return true;
}

// ---- trimming: where to cut each model's delta ----------------------------------------------------------------------

void FoldRun::begin_scan() {
  if (own_cuts_.pass() == Selection::Pass::done) return begin_mass();
  phase_ = own_cuts_.pass() == Selection::Pass::sample ? Phase::sample : Phase::scan;
  units_ = phase_ == Phase::sample ? 1 : tiles_.count();
}

void FoldRun::sample() {
  own_cuts_.sample([&](int k, int64_t first, int64_t* found) {
    char base[Selector::kRun * 8], model[Selector::kRun * 8];
    magnitudes(tiles_.delta_at(k, first, Selector::kRun, base, model), tiles_.job().f64(), found);
  });
}

void FoldRun::scan(int64_t tile, TileBuffers& buffers) {
  for (int k = 0; k < tiles_.job().count(); ++k)
    if (own_cuts_.wants(k, tile))
      own_cuts_.scan(k, tiles_.delta(k, tile, buffers), tiles_.range(tile).first, tile, context_.isa);
}

// ---- rescaling: how much was dropped --------------------------------------------------------------------------------

void FoldRun::begin_mass() {
  if (!context_.call.measures_mass(tiles_.job())) return begin_output();
  phase_ = Phase::mass;
  units_ = tiles_.count();
  sums_.resize(static_cast<size_t>(tiles_.count() * tiles_.job().count() * 2));
}

void FoldRun::measure(int64_t tile, TileBuffers& buffers) {
  const Job& job = tiles_.job();
  const int64_t n = tiles_.range(tile).n;
  const uint8_t* const* const keep = cuts_ ? threshold_masks(*cuts_, cut_offset_, tiles_, tile, buffers, context_.isa)
                                           : masks_.draw(tiles_, tile, buffers);
  std::vector<double> blocks(static_cast<size_t>((n + kSumBlock - 1) / kSumBlock) * 2);
  for (int k = 0; k < job.count(); ++k) {
    const DeltaSpan span = tiles_.delta(k, tile, buffers);
    for (int64_t block = 0; block * kSumBlock < n; ++block) {
      const int64_t first = block * kSumBlock;
      const MassCall call{part_of(span, first, std::min(kSumBlock, n - first)), keep[k] + first / 8,
                          blocks.data() + block * 2};
      job.f64() ? mass<double>(call) : fk_mass[static_cast<int>(context_.isa)](call);
    }
    tree_sum(blocks, 2);
    std::copy_n(blocks.begin(), 2, sums_.begin() + (tile * job.count() + k) * 2);
  }
}

std::vector<double> FoldRun::factors_by_mass() {
  const int count = tiles_.job().count();
  tree_sum(sums_, static_cast<size_t>(count) * 2);
  std::vector<double> factors;
  for (int k = 0; k < count; ++k) {
    const double all = sums_[static_cast<size_t>(k) * 2], kept = sums_[static_cast<size_t>(k) * 2 + 1];
    const double factor = all / kept;
    factors.push_back(kept > 0 && std::isfinite(factor) ? factor : 1.0);
  }
  return factors;
}

std::vector<double> FoldRun::factors_by_density() const {
  std::vector<double> factors;
  for (int k = 0; k < tiles_.job().count(); ++k) {
    double density = values_.per_model("density", k);
    if (context_.call.method->sparsifier == Sparsifier::random) density = masks_.density(k);
    factors.push_back(density > 0 ? 1 / density : 1.0);
  }
  return factors;
}

// ---- the result -----------------------------------------------------------------------------------------------------

void FoldRun::begin_output() {
  const auto resolve = [&](const Values& values) {
    context_.call.method->resolve(values, tiles_.job().count(), tiles_.job().f64(), parameters_);
  };
  if (context_.call.rescales(tiles_.job())) {
    Values rescaled = values_;
    rescaled.factors = factors_ = phase_ == Phase::mass ? factors_by_mass() : factors_by_density();
    resolve(rescaled);
  } else {
    resolve(values_);
  }
  phase_ = Phase::output;
  units_ = tiles_.count();
}

void FoldRun::fold(int64_t tile, TileBuffers& buffers) {
  const uint8_t* const* const keep =
      is_masked(context_.call.method->sparsifier) ? masks_.draw(tiles_, tile, buffers) : nullptr;
  FoldTile folding(context_, tiles_, tile, buffers, keep);
  const auto [first, n] = folding.range();
  if (!cuts_) {
    folding.fold(0, n, parameters_);
  } else {
    // Cut the tile wherever a model's last kept equal lies inside it: thresholds are constant in between.
    FoldParameters parameters = parameters_;
    int64_t begin = 0;
    for (const int64_t end : cuts_->ends(cut_offset_ + first, n)) {
      cuts_->apply(*context_.call.method, parameters, cut_offset_ + first + begin);
      folding.fold(begin, end, parameters);
      begin = end;
    }
  }
  folding.write();
}

}  // namespace fk
