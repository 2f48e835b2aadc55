// fold_merge.cpp: the passes of a fold method over tensors in a GPU's memory.
#include "cuda/fold_merge.hpp"

#include <algorithm>

#include "core/draws.hpp"
#include "core/summation.hpp"
#include "cuda/tuning.cuh"
#include "statistics/cut_ranks.hpp"

namespace fk::cuda {
namespace {

CutBatch batch_of(const std::vector<CutSearch>& here, CutSearch* there) {
  CutBatch batch{there, static_cast<int64_t>(here.size()), 1, 0};
  for (const CutSearch& search : here) {
    batch.chunks = std::max(batch.chunks, search.chunks);
    batch.n = std::max(batch.n, search.n);
  }
  return batch;
}

}  // namespace

FoldMerge::FoldMerge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, const Peaks& peaks,
                     Memory& memory)
    : call_(call), method_(*call.method), memory_(memory), groups_(make_groups(call, tensors, peaks, memory)) {
  if (call.scopes_model() && !tensors[0].facts()) describe_model_cuts(tensors);
  for (auto& [kind, group] : groups_) {
    Passes& passes = passes_.emplace_back();
    passes.group = &group;
    for (size_t i = 0; i < group.members.size(); ++i) describe(passes, i);
    passes.search_table = memory_.copy(passes.searches);
    passes.draws.tensors = memory_.copy(passes.draw_list).there;
    passes.ranks.tensors = memory_.copy(passes.rank_list).there;
    passes.short_ranks.tensors = memory_.copy(passes.short_list).there;
    passes.masses.tensors = memory_.copy(passes.mass_list).there;
  }
}

void FoldMerge::make_masks(const Passes& passes, const Queue& queue) {
  const bool f64 = passes.group->kind.f64;
  if (passes.draws.count > 0) draw_masks(passes.draws, queue);
  if (passes.ranks.count > 0) rank_rows(passes.ranks, f64, queue);
  if (passes.short_ranks.count > 0) rank_short_rows(passes.short_ranks, f64, queue);
}

void FoldMerge::sum_masses(const Queue& queue) {
  const Passes& passes = passes_[0];
  make_masks(passes, queue);
  cuda::sum_masses(passes.masses, passes.most_models, passes.group->kind.f64, queue);
}

void FoldMerge::run(const Queue& queue) {
  if (!model_searches_.empty()) find_cuts(batch_of(model_searches_, model_search_table_.there), model_f64_, queue);
  for (Passes& passes : passes_) {
    const bool f64 = passes.group->kind.f64;
    make_masks(passes, queue);
    if (!passes.searches.empty()) find_cuts(batch_of(passes.searches, passes.search_table.there), f64, queue);
    if (passes.masses.count > 0) {
      cuda::sum_masses(passes.masses, passes.most_models, f64, queue);
      find_factors(passes.masses, queue);
    }
    fold_kernels().at(method_.info->name)(passes.group->kind, passes.group->batch(), queue);
  }
}

void FoldMerge::describe(Passes& passes, size_t i) {
  FoldTensor& tensor = passes.group->tensors.here[i];
  const Job& job = *passes.group->members[i]->job;
  FoldParameters parameters;
  method_.resolve(call_.values_of(job), job.count(), job.f64(), parameters);
  tensor.shared = memory_.copy(parameters.shared).there;
  // What is rescaled on the device is given in double.
  if (method_.is_rescaled) method_.resolve(call_.values_of(job), job.count(), true, parameters);
  tensor.parameters = memory_.copy(parameters.models).there;
  passes.most_models = std::max(passes.most_models, job.count());
  if (is_masked(method_.sparsifier)) describe_masks(passes, i);
  if (trims(method_.sparsifier)) describe_cuts(passes, i);
  if (call_.rescales(job)) describe_factors(passes, i);
}

void FoldMerge::describe_masks(Passes& passes, size_t i) {
  const ResidentTensor& member = *passes.group->members[i];
  const Job& job = *member.job;
  const Values& values = call_.values_of(job);
  const FoldTensor* const tensor = passes.group->tensors.there + i;
  const int64_t n = member.units();
  const bool factors_known = member.facts() && !member.facts()->factors.empty();
  for (int k = 0; k < job.count(); ++k) {
    FoldModel& model = passes.group->models[i].here[k];
    const double density = values.per_model("density", k);
    model.key = draw_key(call_.seed, static_cast<uint64_t>(k), job.name);
    model.below = kept_draws(density);
    if (model.below == 0 || density >= 1) continue;
    MaskTensor mask{tensor, k, member.rows(), job.cols, density, 0, nullptr, 0};
    if (method_.sparsifier == Sparsifier::ranked) {
      mask.epsilon = values.per_model("epsilon", k);
      mask.keep = reinterpret_cast<uint8_t*>(memory_.zeros<uint32_t>(pieces(n, 32) + 1));
      if (job.cols <= kShortRow)
        add(passes.short_ranks, passes.short_list, mask, pieces(n, kThreads));
      else
        add(passes.ranks, passes.rank_list, mask, member.rows());
    } else if (model.below < 65536 && call_.measures_mass(job) && !factors_known) {  // drawn once, for two passes
      mask.keep = memory_.scratch<uint8_t>(pieces(n, kEight));
      add(passes.draws, passes.draw_list, mask, pieces(n, kEight * kThreads));
    }
    model.keep = mask.keep;
  }
}

void FoldMerge::add(MaskBatch& batch, std::vector<MaskTensor>& list, MaskTensor mask, int64_t chunks) {
  mask.first_chunk = batch.chunks;
  batch.chunks += chunks;
  ++batch.count;
  list.push_back(mask);
}

// A model's limits where nothing is searched for, or the search that will find them.
void FoldMerge::limit(const CutSearch& search, int64_t rank, bool f64, Limit* here, Limit* there,
                      std::vector<CutSearch>& searches) {
  if (rank <= 0 || rank >= search.n) {
    const int64_t exceeded_by_none = f64 ? INT64_MAX : INT32_MAX, exceeded_by_all = -1;
    const int64_t everywhere = rank <= 0 ? exceeded_by_none : exceeded_by_all;
    *here = {-1, everywhere, everywhere};
  } else {
    searches.push_back(search);
    CutSearch& asked = searches.back();
    asked.keep = rank;
    asked.capacity = entries_for(asked.n);
    if (asked.n > kFewestEntries) {  // else one block settles it at once
      asked.entries = memory_.scratch<uint64_t>(asked.capacity);
      if (narrows(asked.n)) asked.few = memory_.scratch<uint64_t>(kEntriesAlone);
      asked.equals = memory_.scratch<unsigned>(asked.chunks * kHeavy);
      asked.bins = memory_.zeros<unsigned long long>(kBins);
    }
    asked.limit = there;
  }
}

FoldMerge::Limits FoldMerge::limits(const CutSearch& search, const Values& values, int models, bool f64,
                                    std::vector<CutSearch>& searches) {
  const bool band = method_.sparsifier == Sparsifier::band;
  const auto above = memory_.table<Limit>(models);
  const auto ceiling = band ? memory_.table<Limit>(models) : Memory::Table<Limit>{};
  for (int k = 0; k < models; ++k) {
    const std::vector<int64_t> ranks = cut_ranks(method_.sparsifier, values, k, search.n);
    CutSearch of_model = search;
    of_model.model = k;
    limit(of_model, ranks[0], f64, above.here + k, above.there + k, searches);
    if (band) limit(of_model, ranks[1], f64, ceiling.here + k, ceiling.there + k, searches);
  }
  return {above.there, ceiling.there};
}

const Limit* FoldMerge::known(const std::vector<Limit>& limits) {
  return limits.empty() ? nullptr : memory_.copy(limits).there;
}

void FoldMerge::describe_cuts(Passes& passes, size_t i) {
  FoldTensor& tensor = passes.group->tensors.here[i];
  Limits found = model_limits_;
  if (const TensorFacts* const facts = passes.group->members[i]->facts()) {
    found = {known(facts->above), known(facts->ceiling)};
  } else if (!found.above) {
    const Job& job = *passes.group->members[i]->job;
    CutSearch search{};
    search.tensors = passes.group->tensors.there + i;
    search.count = 1;
    search.chunks = pieces(tensor.n, kChunk);
    search.n = tensor.n;
    search.origin = tensor.first;
    found = limits(search, call_.values_of(job), job.count(), job.f64(), passes.searches);
  }
  tensor.above = found.above;
  tensor.ceiling = found.ceiling;
}

// Over all tensors of a model, in the order of their names.
void FoldMerge::describe_model_cuts(const std::vector<ResidentTensor>& tensors) {
  for (const ResidentTensor& tensor : tensors)
    if (tensor.job->units() > 0) ordered_.members.push_back(&tensor);
  if (ordered_.members.empty()) return;
  std::sort(ordered_.members.begin(), ordered_.members.end(),
            [](const ResidentTensor* a, const ResidentTensor* b) { return a->job->cut_offset < b->job->cut_offset; });
  fill_group(ordered_, memory_);
  const Job& any = *ordered_.members[0]->job;
  CutSearch search{};
  search.tensors = ordered_.tensors.there;
  search.count = static_cast<int>(ordered_.members.size());
  search.chunks = ordered_.chunks;
  search.origin = any.cut_offset;
  for (const ResidentTensor* tensor : ordered_.members) search.n += tensor->job->units();
  model_f64_ = any.f64();
  model_limits_ = limits(search, call_.values_of(any), any.count(), model_f64_, model_searches_);
  model_search_table_ = memory_.copy(model_searches_);
}

void FoldMerge::describe_factors(Passes& passes, size_t i) {
  FoldTensor& tensor = passes.group->tensors.here[i];
  const ResidentTensor& member = *passes.group->members[i];
  const Job& job = *member.job;
  if (member.facts() && !member.facts()->factors.empty()) {
    tensor.factors = memory_.copy(member.facts()->factors).there;
    return;
  }
  if (call_.measures_mass(job)) {
    const int width = 2 * job.count();
    const int64_t start = member.part ? member.part->own_first - member.part->first : 0;
    const int64_t n = member.part ? member.part->own_n : tensor.n, blocks = pieces(n, kSumBlock);
    tensor.factors = memory_.scratch<double>(job.count());
    passes.mass_list.push_back({passes.group->tensors.there + i, start, 1, n, passes.masses.blocks,
                                passes.masses.vectors, blocks, memory_.scratch<double>(blocks * width), width,
                                memory_.scratch<double>(width)});
    passes.masses.blocks += blocks;
    ++passes.masses.vectors;
    ++passes.masses.count;
    return;
  }
  const auto factors = memory_.table<double>(job.count());
  for (int k = 0; k < job.count(); ++k) {
    double density = call_.values_of(job).per_model("density", k);
    if (method_.sparsifier == Sparsifier::random) density = kept_draws(density) / 65536.0;
    factors.here[k] = density > 0 ? 1 / density : 1.0;
  }
  tensor.factors = factors.there;
}

}  // namespace fk::cuda
