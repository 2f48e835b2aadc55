// job_run.cpp: the passes over one tensor: sample, scan, dot products, output.
#include "stream/job_run.hpp"

#include <algorithm>
#include <cstring>

#include "statistics/tree_sum.hpp"

namespace fk {

JobRun::JobRun(const MergeContext& context, const Job& job, char* slot) : context_(context), job_(job) {
  const Method& method = *context.call.method;
  units_ = tiles();
  if (job.kind != Job::Kind::merge || units_ == 0) return;
  const Values& values = context.call.values[static_cast<size_t>(job.values)];
  if (method.is_gram) {
    phase_ = Phase::gram;
    gram_sums_.resize(static_cast<size_t>(tiles() * pair_count(job.count())));
    return;
  }
  method.resolve(values, job.count(), job.f64(), parameters_);
  if (method.trims_by) start_selection(slot);
}

int64_t JobRun::tiles() const {
  const int64_t tile = context_.plan.tile_elements;
  return (job_.units() + tile - 1) / tile;
}

std::pair<int64_t, int64_t> JobRun::tile_range(int64_t tile) const {
  const int64_t first = tile * context_.plan.tile_elements;
  return {first, std::min(context_.plan.tile_elements, job_.units() - first)};
}

const void* JobRun::load(const TensorRef& ref, int slot, int64_t tile, TileBuffers& buffers) const {
  if (buffers.owner != &job_ || buffers.tile != tile) {
    buffers.owner = &job_;  // not this run: another may get its address
    buffers.tile = tile;
    std::fill(buffers.loaded.begin(), buffers.loaded.end(), nullptr);
  }
  const void*& loaded = buffers.loaded[static_cast<size_t>(slot)];
  if (!loaded) {
    const auto [first, n] = tile_range(tile);
    const int64_t unit = job_.kind == Job::Kind::merge ? size_of(ref.dtype) : 1;
    const Buffer& from = context_.call.buffers[static_cast<size_t>(ref.buffer)];
    loaded = from.read(ref.offset + first * unit, n * unit, buffers.inputs[static_cast<size_t>(slot)]);
    context_.record.bytes_read.fetch_add(n * unit, std::memory_order_relaxed);
  }
  return loaded;
}

const void* JobRun::load_base(int64_t tile, TileBuffers& buffers) const {
  return job_.base ? load(*job_.base, 0, tile, buffers) : nullptr;
}

const void* JobRun::load_input(int k, int64_t tile, TileBuffers& buffers) const {
  return load(job_.inputs[static_cast<size_t>(k)], k + 1, tile, buffers);
}

void JobRun::work(int64_t unit, TileBuffers& buffers) {
  switch (phase_) {
    case Phase::sample:
      return sample();
    case Phase::scan:
      return scan(unit, buffers);
    case Phase::gram:
      return gram(unit, buffers);
    case Phase::output:
      return job_.kind == Job::Kind::merge ? fold(unit, buffers) : copy(unit, buffers);
  }
}

bool JobRun::advance() {
  switch (phase_) {
    case Phase::output:
      return false;
    case Phase::gram:
      finish_gram();
      break;
    case Phase::sample:
    case Phase::scan:
      for (auto& selector : selectors_)
        if (selector) selector->advance();
      start_scan();
      break;
  }
  return true;
}

// ---- trimming: where to cut each model's delta ---------------------------------------------------------------------

void JobRun::start_selection(char* slot) {
  const Values& values = context_.call.values[static_cast<size_t>(job_.values)];
  const int64_t n = job_.units();
  const size_t capacity = static_cast<size_t>(context_.plan.slot_bytes) / 8 / static_cast<size_t>(job_.count());
  for (int k = 0; k < job_.count(); ++k) {
    const int64_t keep = Selector::keep_for(values.per_model(context_.call.method->trims_by, k), n);
    const std::span entries(reinterpret_cast<uint64_t*>(slot) + static_cast<size_t>(k) * capacity, capacity);
    selectors_.push_back(keep == n ? nullptr
                                   : std::make_unique<Selector>(n, keep, magnitude_end(job_.f64()),
                                                                context_.plan.tile_elements, entries));
  }
  start_scan();
}

void JobRun::start_scan() {
  bool any_sample = false, any_scan = false;
  for (const auto& selector : selectors_) {
    if (!selector) continue;
    any_sample |= selector->pass() == Selector::Pass::sample;
    any_scan |= selector->pass() != Selector::Pass::done;
  }
  phase_ = any_sample ? Phase::sample : any_scan ? Phase::scan : Phase::output;
  units_ = phase_ == Phase::sample ? 1 : tiles();
}

void JobRun::sample() {
  constexpr int run = Selector::kRun;
  char base[run * 8], model[run * 8];
  const auto read = [&](const TensorRef& ref, int64_t first, char* scratch) {
    const int size = size_of(ref.dtype);
    return context_.call.buffers[static_cast<size_t>(ref.buffer)].read(ref.offset + first * size, run * size, scratch);
  };
  for (size_t k = 0; k < selectors_.size(); ++k) {
    Selector* const selector = selectors_[k].get();
    if (!selector || selector->pass() != Selector::Pass::sample) continue;
    for (int64_t i = 0; i < selector->run_count(); ++i) {
      const int64_t first = selector->run_start(i);
      const TensorRef& input = job_.inputs[k];
      const DeltaSpan span{read(*job_.base, first, base), job_.base->dtype, read(input, first, model), input.dtype,
                           run};
      magnitudes(span, job_.f64(), selector->sample_run(i));
    }
  }
}

void JobRun::scan(int64_t tile, TileBuffers& buffers) {
  const auto [first, n] = tile_range(tile);
  for (int k = 0; k < job_.count(); ++k) {
    Selector* const selector = selectors_[static_cast<size_t>(k)].get();
    if (!selector || selector->pass() == Selector::Pass::done || selector->pass() == Selector::Pass::sample) continue;
    if (selector->pass() == Selector::Pass::pinpoint && selector->pinpoint_tile() != tile) continue;
    const TensorRef& input = job_.inputs[static_cast<size_t>(k)];
    const DeltaSpan span{load_base(tile, buffers), job_.base->dtype, load_input(k, tile, buffers), input.dtype, n};
    scan_tile(*selector, span, first, tile, job_.f64(), context_.isa);
  }
}

// ---- gram: the models' dot products
// ----------------------------------------------------------------------------------

void JobRun::gram(int64_t tile, TileBuffers& buffers) {
  const auto [first, n] = tile_range(tile);
  const int count = job_.count();
  const size_t pairs = static_cast<size_t>(pair_count(count));
  std::vector<const void*> models(static_cast<size_t>(count));
  std::vector<DType> dtypes(static_cast<size_t>(count));
  std::vector<double> blocks(static_cast<size_t>((n + kSumBlock - 1) / kSumBlock) * pairs);
  for (int64_t block = 0; block * kSumBlock < n; ++block) {
    for (int k = 0; k < count; ++k) {
      dtypes[static_cast<size_t>(k)] = job_.inputs[static_cast<size_t>(k)].dtype;
      models[static_cast<size_t>(k)] = static_cast<const char*>(load_input(k, tile, buffers)) +
                                       block * kSumBlock * size_of(dtypes[static_cast<size_t>(k)]);
    }
    gram_block({models.data(), dtypes.data(), count, std::min(kSumBlock, n - block * kSumBlock), buffers.scratch,
                blocks.data() + static_cast<size_t>(block) * pairs},
               job_.f64(), context_.isa);
  }
  tree_sum(blocks, pairs);
  std::copy_n(blocks.begin(), pairs, gram_sums_.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(tile) * pairs));
}

void JobRun::finish_gram() {
  const int count = job_.count();
  tree_sum(gram_sums_, static_cast<size_t>(pair_count(count)));
  std::vector<double> matrix(static_cast<size_t>(count * count));
  const double* sum = gram_sums_.data();
  for (int j = 0; j < count; ++j)
    for (int k = j; k < count; ++k, ++sum)
      matrix[static_cast<size_t>(j * count + k)] = matrix[static_cast<size_t>(k * count + j)] = *sum;
  Values values{{{"weight", std::vector<double>(static_cast<size_t>(count))}, {"normalize", {0}}}};
  const Method& method = *context_.call.method;
  method.coefficients(matrix, context_.call.values[static_cast<size_t>(job_.values)], values.of["weight"]);
  method.resolve(values, count, job_.f64(), parameters_);
  phase_ = Phase::output;
  units_ = tiles();
}

// ---- output
// ----------------------------------------------------------------------------------------------------------

void JobRun::write(int64_t first, int64_t n, const char* from) {
  const int64_t unit = job_.kind == Job::Kind::merge ? size_of(job_.out.dtype) : 1;
  context_.call.buffers[static_cast<size_t>(job_.out.buffer)].write(job_.out.offset + first * unit, n * unit, from);
  context_.record.bytes_written.fetch_add(n * unit, std::memory_order_relaxed);
}

void JobRun::fold(int64_t tile, TileBuffers& buffers) {
  const auto [first, n] = tile_range(tile);
  const int count = job_.count();
  std::vector<const void*> models(static_cast<size_t>(count));
  std::vector<DType> dtypes(static_cast<size_t>(count));
  for (int k = 0; k < count; ++k) {
    models[static_cast<size_t>(k)] = load_input(k, tile, buffers);
    dtypes[static_cast<size_t>(k)] = job_.inputs[static_cast<size_t>(k)].dtype;
  }
  const Buffer& target = context_.call.buffers[static_cast<size_t>(job_.out.buffer)];
  const int out_size = size_of(job_.out.dtype);
  char* const out = target.place(job_.out.offset + first * out_size, buffers.output);
  FoldCall call{load_base(tile, buffers),
                job_.base ? job_.base->dtype : job_.out.dtype,
                models.data(),
                dtypes.data(),
                count,
                out,
                job_.out.dtype,
                n,
                nullptr,
                nullptr,
                buffers.scratch};

  // Cut the tile wherever a model's last kept equal lies inside it: thresholds are constant in between.
  std::vector<int64_t> ends{n};
  for (const auto& selector : selectors_)
    if (selector && selector->cut().last >= first && selector->cut().last + 1 < first + n)
      ends.push_back(selector->cut().last + 1 - first);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  FoldParameters parameters = parameters_;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    for (size_t k = 0; k < selectors_.size(); ++k) {
      if (!selectors_[k]) continue;
      const Cut& cut = selectors_[k]->cut();
      const int64_t above = first + begin <= cut.last ? cut.threshold - 1 : cut.threshold;
      context_.call.method->set_above(parameters, static_cast<int>(k), job_.f64(), above);
    }
    FoldCall part = call;
    part.n = end - begin;
    part.out = out + begin * out_size;
    if (part.base) part.base = static_cast<const char*>(call.base) + begin * size_of(call.base_dtype);
    std::vector<const void*> part_models(models);
    for (size_t k = 0; k < models.size(); ++k)
      part_models[k] = static_cast<const char*>(models[k]) + begin * size_of(dtypes[k]);
    part.models = part_models.data();
    fold_part(part, parameters, first + begin);
    begin = end;
  }
  write(first, n, out);
}

void JobRun::fold_part(FoldCall part, const FoldParameters& parameters, int64_t first) {
  part.model_parameters = parameters.models.data();
  part.shared_parameters = parameters.shared.data();
  const FoldFunction function = context_.call.method->fold_for(context_.isa, job_.f64());
  if (!overflows(part.out_dtype, function(part))) return;
  const Inspection found = inspect(part, function);
  if (found.created && !context_.call.allow_nonfinite)
    throw InvalidArgument("tensor '" + job_.name + "': element " + std::to_string(first + found.first_created) +
                          (found.created > 1 ? " and others" : "") + " of the result would be NaN or infinite in " +
                          std::string(info(part.out_dtype).code) + " although every input is finite (method '" +
                          context_.call.method->info->name +
                          "'); use smaller weights, a wider dtype, or allow_nonfinite to keep it");
  const std::lock_guard lock(context_.record.mutex);
  if (found.saturated) context_.record.saturated[job_.name] += found.saturated;
  if (found.inherited) context_.record.nonfinite_inputs[job_.name] += found.inherited;
}

void JobRun::copy(int64_t tile, TileBuffers& buffers) {
  const auto [first, n] = tile_range(tile);
  const void* const from = load_input(0, tile, buffers);
  if (job_.kind == Job::Kind::equal) {
    for (int k = 1; k < job_.count(); ++k)
      if (std::memcmp(from, load_input(k, tile, buffers), static_cast<size_t>(n)) != 0)
        throw InvalidArgument("tensor '" + job_.name + "' (" + std::string(info(job_.out.dtype).code) +
                              ") differs between input 0 and input " + std::to_string(k) +
                              "; integers are not merged: they must be equal, or be taken from the base with "
                              "on_unequal_integers='base'");
  }
  write(first, n, static_cast<const char*>(from));
}

}  // namespace fk
