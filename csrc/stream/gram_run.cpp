// gram_run.cpp: carries a gram method's passes out on tiles.
#include "stream/gram_run.hpp"

#include <algorithm>
#include <cstring>

#include "core/gram_fold.hpp"
#include "cpu/columns.hpp"
#include "cpu/reduce.hpp"
#include "statistics/tree_sum.hpp"
#include "stream/coefficients.hpp"

FK_KERNEL_TABLE(fk_gram_sum, int64_t, const fk::FoldCall&);
FK_KERNEL_TABLE(fk_gram_delta_sum, int64_t, const fk::FoldCall&);
FK_KERNEL_TABLE(fk_add_columns, void, const fk::ColumnCall&);
FK_KERNEL_TABLE(fk_column_sum, int64_t, const fk::FoldCall&);

namespace fk {

const FoldKernels& gram_kernels(bool deltas) {
  static const FoldKernels sum{fk_gram_sum, fold<GramSum, double>};
  static const FoldKernels delta_sum{fk_gram_delta_sum, fold<GramDeltaSum, double>};
  return deltas ? delta_sum : sum;
}

namespace {

const char* at(const void* array, DType dtype, int64_t i) {
  return static_cast<const char*>(array) + i * size_of(dtype);
}

// The dot products of elements first to first + n of a tile, blocks and all.
void sum_products(const MergeContext& context, const FoldTile& tile, int64_t first, int64_t n, bool f64,
                  std::span<double> out) {
  const FoldCall& call = tile.call();
  const size_t pairs = out.size();
  std::vector<double> blocks(static_cast<size_t>((n + kSumBlock - 1) / kSumBlock) * pairs);
  std::vector<const void*> models(static_cast<size_t>(call.count));
  for (int64_t block = 0; block * kSumBlock < n; ++block) {
    const int64_t start = first + block * kSumBlock;
    for (int k = 0; k < call.count; ++k) models[static_cast<size_t>(k)] = at(call.models[k], call.dtypes[k], start);
    gram_block({models.data(), call.dtypes, call.count, call.base ? at(call.base, call.base_dtype, start) : nullptr,
                call.base_dtype, std::min(kSumBlock, n - block * kSumBlock), call.scratch,
                blocks.data() + static_cast<size_t>(block) * pairs},
               f64, context.isa);
  }
  tree_sum(blocks, pairs);
  std::copy_n(blocks.begin(), pairs, out.begin());
}

void resolve_weights(const MergeContext& context, const Job& job, std::vector<double> weights,
                     FoldParameters& parameters) {
  const int count = job.count();
  const Values values{{{"weight", std::move(weights)}}};
  context.call.method->resolve(values, count, job.f64(), parameters);
}

size_t pairs_of(const Job& job) { return static_cast<size_t>(pair_count(job.count())); }

}  // namespace

// ---- the tensor is one vector ---------------------------------------------------------------------------------------

GramRun::GramRun(const MergeContext& context, const Job& job)
    : context_(context), tiles_(context, job, false), sums_(static_cast<size_t>(tiles_.count()) * pairs_of(job)) {}

void GramRun::work(int64_t tile, TileBuffers& buffers) {
  const Job& job = tiles_.job();
  FoldTile folding(context_, tiles_, tile, buffers);
  if (summing_) {
    const std::span sums(sums_);
    sum_products(context_, folding, 0, folding.range().n, job.f64(),
                 sums.subspan(static_cast<size_t>(tile) * pairs_of(job), pairs_of(job)));
  } else {
    folding.fold(0, folding.range().n, parameters_);
    folding.write();
  }
}

bool GramRun::advance() {
  if (!summing_) return false;
  summing_ = false;
  const Job& job = tiles_.job();
  tree_sum(sums_, pairs_of(job));
  resolve_weights(context_, job, find_coefficients(context_.call, job, sums_), parameters_);
  return true;
}

// ---- every row is a vector ------------------------------------------------------------------------------------------

RowGramRun::RowGramRun(const MergeContext& context, const Job& job) : context_(context), tiles_(context, job, true) {}

void RowGramRun::work(int64_t tile, TileBuffers& buffers) {
  const Job& job = tiles_.job();
  FoldTile folding(context_, tiles_, tile, buffers);
  std::vector<double> products(pairs_of(job));
  FoldParameters parameters;
  for (int64_t first = 0; first < folding.range().n; first += job.cols) {
    sum_products(context_, folding, first, job.cols, job.f64(), products);
    resolve_weights(context_, job, find_coefficients(context_.call, job, products), parameters);
    folding.fold(first, first + job.cols, parameters);
  }
  folding.write();
}

// ---- every column is a vector ---------------------------------------------------------------------------------------

ColumnGramRun::ColumnGramRun(const MergeContext& context, const Job& job)
    : context_(context), tiles_(context, job, true), sums_(pairs_of(job) * static_cast<size_t>(job.cols)) {}

int64_t ColumnGramRun::bytes(const Job& job) { return (pair_count(job.count()) + job.count()) * job.cols * 8; }

void ColumnGramRun::sum(TileBuffers& buffers) {
  const Job& job = tiles_.job();
  std::vector<const void*> models(static_cast<size_t>(job.count()));
  for (int64_t tile = 0; tile < tiles_.count(); ++tile) {
    const FoldTile folding(context_, tiles_, tile, buffers);
    const FoldCall& call = folding.call();
    for (int64_t first = 0; first < folding.range().n; first += job.cols) {
      for (int k = 0; k < call.count; ++k) models[static_cast<size_t>(k)] = at(call.models[k], call.dtypes[k], first);
      const ColumnCall columns{call.base ? at(call.base, call.base_dtype, first) : nullptr,
                               call.base_dtype,
                               models.data(),
                               call.dtypes,
                               call.count,
                               job.cols,
                               sums_.data()};
      job.f64() ? add_columns<double>(columns) : fk_add_columns[static_cast<int>(context_.isa)](columns);
    }
  }
}

template <class T>
void ColumnGramRun::find_weights() {
  const Job& job = tiles_.job();
  const auto count = static_cast<size_t>(job.count()), columns = static_cast<size_t>(job.cols);
  weights_.resize(count * columns * sizeof(T));
  T* const weights = reinterpret_cast<T*>(weights_.data());
  std::vector<double> products(pairs_of(job));
  for (size_t column = 0; column < columns; ++column) {
    for (size_t pair = 0; pair < products.size(); ++pair) products[pair] = sums_[pair * columns + column];
    const std::vector<double> found = find_coefficients(context_.call, job, products);
    for (size_t k = 0; k < count; ++k) weights[k * columns + column] = static_cast<T>(found[k]);
  }
  const ColumnWeights pointer{weights};
  parameters_.models.resize(sizeof pointer);
  std::memcpy(parameters_.models.data(), &pointer, sizeof pointer);
}

bool ColumnGramRun::advance() {
  if (!summing_) return false;
  summing_ = false;
  tiles_.job().f64() ? find_weights<double>() : find_weights<float>();
  return true;
}

void ColumnGramRun::work(int64_t tile, TileBuffers& buffers) {
  if (summing_) return sum(buffers);
  const FoldFunction function = tiles_.job().f64() ? column_sum<double> : fk_column_sum[static_cast<int>(context_.isa)];
  FoldTile folding(context_, tiles_, tile, buffers, nullptr, function);
  const int64_t columns = tiles_.job().cols;
  for (int64_t first = 0; first < folding.range().n; first += columns)
    folding.fold(first, first + columns, parameters_);
  folding.write();
}

}  // namespace fk
