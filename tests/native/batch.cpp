// batch.cpp: makes merges of made-up tensors and runs them in exactly the memory that was planned.
#include "batch.hpp"

#include <algorithm>
#include <new>

#include "stream/model_scope.hpp"

namespace fk::test {
namespace {

constexpr std::align_val_t kPage{4096};

struct Workspace {
  explicit Workspace(int64_t bytes, char filler)
      : start(static_cast<char*>(::operator new(static_cast<size_t>(bytes), kPage))) {
    std::memset(start, filler, static_cast<size_t>(bytes));
  }
  ~Workspace() { ::operator delete(start, kPage); }
  Workspace(const Workspace&) = delete;
  char* start;
};

double draw_number(Random& random, const Param& param) {
  std::vector<double> known;
  for (const double number : {param.fallback, param.paper, param.fusionbench})
    if (!std::isnan(number)) known.push_back(number);
  if (!known.empty() && random.one_in(2)) return random.pick(known);
  if (param.type == Type::boolean) return static_cast<double>(random.below(2));
  if (param.type == Type::choice) {
    const std::string choices = param.choices;
    return static_cast<double>(random.below(1 + std::count(choices.begin(), choices.end(), '|')));
  }
  const bool from_below = std::isfinite(param.minimum), from_above = std::isfinite(param.maximum);
  if (from_below && random.one_in(6)) return param.minimum;
  if (from_above && random.one_in(6)) return param.maximum;
  if (from_below && from_above) return random.uniform(param.minimum, param.maximum);
  if (from_below) return param.minimum + (random.one_in(2) ? random.uniform(0, 1) : double(random.below(12)));
  return random.one_in(2) ? random.uniform(-2, 2) : double(random.below(4)) - 1;
}

// Parameters that are each in range may still not go together, as the method itself says; -1: of all models.
bool go_together(const Method& method, const Values& values, int count) {
  for (int k = -1; method.problem && k < count; ++k)
    if (!method.problem(values, k).empty()) return false;
  return true;
}

}  // namespace

std::string describe(const Method& method, int count, DType out, Shape shape, Pattern pattern) {
  return text(method.info->name, " of ", count, " models, ", shape.rows, " x ", shape.cols, " ", info(out).code, ", ",
              kPatternNames[static_cast<int>(pattern)]);
}

std::vector<int> counts(const Method& method, int most) {
  std::vector<int> all;
  for (int count = method.info->min_models; count <= most; ++count)
    if (method.info->max_models == 0 || count <= method.info->max_models) all.push_back(count);
  return all;
}

Values draw_values(Random& random, const Method& method, int count) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Values values;
    for (const Param& param : method.params) {
      std::vector<double>& numbers = values.of[param.name];
      const bool alike = random.one_in(2);
      for (int k = 0; k < (param.per_model ? count : 1); ++k)
        numbers.push_back(k > 0 && alike ? numbers[0] : draw_number(random, param));
    }
    if (go_together(method, values, count)) return values;
  }
  fail(__FILE__, __LINE__, "some parameters go together", method.info->name);
}

bool draw_base(Random& random, const Method& method) {
  const Base base = method.info->base;
  if (base == Base::ignored || base == Base::member) return false;  // a member is one of the models
  return base == Base::required || random.one_in(2);
}

Batch::Batch(const Method& method, Values values) {
  call_.method = &method;
  call_.seed = 0x123456789abcdef;
  call_.values.push_back(std::move(values));
}

TensorRef Batch::add_buffer(Random& random, DType dtype, int64_t elements, bool is_output) {
  const int64_t bytes = elements * size_of(dtype);
  blocks_.emplace_back(bytes, random.one_in(2) ? 1 : 0);
  is_output_.push_back(is_output);
  call_.buffers.push_back({-1, blocks_.back().data(), bytes});
  return {static_cast<int>(blocks_.size()) - 1, 0, dtype};
}

void Batch::add_merge(Random& random, const std::vector<DType>& dtypes, int count, bool with_base, Shape shape,
                      Pattern pattern) {
  const int64_t n = shape.rows * shape.cols;
  const auto dtype = [&](int i) { return dtypes[static_cast<size_t>(i) % dtypes.size()]; };
  Job job{};
  job.kind = Job::Kind::merge;
  job.name = text("tensor ", call_.jobs.size());
  job.rows = shape.rows;
  job.cols = shape.cols;
  job.out = add_buffer(random, dtype(0), n, true);
  const auto add_filled = [&](int i) {
    const TensorRef ref = add_buffer(random, dtype(i), n, false);
    fill(random, ref.dtype, pattern, blocks_.back());
    return ref;
  };
  if (with_base) job.base = add_filled(1);
  for (int k = 0; k < count; ++k) job.inputs.push_back(add_filled(k + 2));
  call_.jobs.push_back(std::move(job));
}

void Batch::add_copy(Random& random, DType dtype, Shape shape, Job::Kind kind, int count) {
  const int64_t n = shape.rows * shape.cols;
  Job job{};
  job.kind = kind;
  job.name = text("tensor ", call_.jobs.size());
  job.rows = shape.rows;
  job.cols = shape.cols;
  job.values = -1;
  job.out = add_buffer(random, dtype, n, true);
  job.inputs.push_back(add_buffer(random, dtype, n, false));
  fill(random, dtype, Pattern::bits, blocks_.back());
  const Exact& first = blocks_.back();
  for (int k = 1; k < count; ++k) {
    job.inputs.push_back(add_buffer(random, dtype, n, false));
    std::copy_n(first.data(), first.size(), blocks_.back().data());
  }
  call_.jobs.push_back(std::move(job));
}

Outcome Batch::run(const How& how, const Observer& observe) {
  call_.isa = how.isa;
  call_.threads = how.threads;
  call_.tile_elements = how.tile_elements;
  call_.memory_limit = how.memory_limit;
  if (call_.scopes_model()) ModelScope::order(call_.jobs);
  for (size_t i = 0; i < blocks_.size(); ++i)
    if (is_output_[i]) std::fill_n(blocks_[i].data(), blocks_[i].size(), how.filler);
  Outcome outcome;
  MergeRecord record;
  try {
    outcome.plan = plan_workspace(call_);
    const Workspace workspace(outcome.plan.total(), how.filler);
    run_merge(call_, workspace.start, record, observe);
    for (size_t i = 0; i < blocks_.size(); ++i)
      if (is_output_[i]) outcome.bytes.append(blocks_[i].data(), static_cast<size_t>(blocks_[i].size()));
  } catch (const InvalidArgument& error) {
    outcome.error = error.what();
  } catch (const Unsupported& error) {
    outcome.error = error.what();
  } catch (const IoError& error) {
    outcome.error = error.what();
  }
  outcome.tensors_done = record.tensors_done;
  outcome.bytes_written = record.bytes_written;
  return outcome;
}

std::vector<Exact*> Batch::inputs() {
  std::vector<Exact*> found;
  for (size_t i = 0; i < blocks_.size(); ++i)
    if (!is_output_[i]) found.push_back(&blocks_[i]);
  return found;
}

int64_t least_memory(MergeCall call) {
  int64_t refused = 0, accepted = int64_t{1} << 40;
  while (accepted - refused > 1) {
    call.memory_limit = refused + (accepted - refused) / 2;
    try {
      plan_workspace(call);
      accepted = call.memory_limit;
    } catch (const InvalidArgument& error) {
      CHECK(contains(error.what(), "memory_limit is"), error.what());
      refused = call.memory_limit;
    }
  }
  return accepted;
}

}  // namespace fk::test
