// products.cpp: sums blocks by the engine's kernels, and the blocks by a tree.
#include "ops/products.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/dots.hpp"
#include "cpu/mass.hpp"
#include "cpu/reduce.hpp"
#include "statistics/tree_sum.hpp"

FK_KERNEL_TABLE(fk_dots, void, const fk::DotCall&);
FK_KERNEL_TABLE(fk_mass, void, const fk::MassCall&);

namespace fk::ops {
namespace {

// block(first, n, worker, sums) fills in `width` sums of the elements first to first + n; theirs of all come back.
template <class Block>
std::vector<double> sum_blocks(int64_t elements, size_t width, int threads, const Block& block) {
  std::vector<double> tiles(static_cast<size_t>((elements + kTile - 1) / kTile) * width);
  for_each_tile(elements, threads, [&](int64_t first, int64_t n, int worker) {
    std::vector<double> blocks(static_cast<size_t>((n + kSumBlock - 1) / kSumBlock) * width);
    for (int64_t i = 0; i < n; i += kSumBlock)
      block(first + i, std::min(kSumBlock, n - i), worker, blocks.data() + static_cast<size_t>(i / kSumBlock) * width);
    tree_sum(blocks, width);
    std::copy_n(blocks.begin(), width, tiles.begin() + first / kTile * static_cast<int64_t>(width));
  });
  tree_sum(tiles, width);
  tiles.resize(width);  // of no elements: zeros
  return tiles;
}

// The models' elements from one on, as kernels take them.
struct Pointers {
  std::vector<const void*> models;
  std::vector<DType> dtypes;
  Pointers(std::span<const Tensor> from, int64_t first) {
    for (const Tensor& model : from) {
      models.push_back(model.at(first));
      dtypes.push_back(model.dtype);
    }
  }
};

// Which NaN a processor makes differs between them.
double canonical(double sum) { return std::isnan(sum) ? std::numeric_limits<double>::quiet_NaN() : sum; }

const void* at(const Tensor& base, int64_t i) { return base.data ? base.at(i) : nullptr; }

std::vector<Scratch> worker_scratch(int workers, int64_t bytes) {
  std::vector<Scratch> scratch;
  for (int worker = 0; worker < workers; ++worker) scratch.push_back(make_scratch(bytes));
  return scratch;
}

// The upper triangle of dot products of elements first to first + n, row by row.
std::vector<double> products_of(const Group& group, int64_t start, int64_t elements, std::span<const Scratch> scratch,
                                const Execution& how) {
  const auto count = static_cast<int>(group.models.size());
  return sum_blocks(elements, static_cast<size_t>(pair_count(count)), how.threads,
                    [&](int64_t first, int64_t n, int worker, double* sums) {
                      const Pointers from(group.models, start + first);
                      gram_block({from.models.data(), from.dtypes.data(), count, at(group.base, start + first),
                                  group.base.dtype, n, scratch[static_cast<size_t>(worker)].get(), sums},
                                 group.f64, how.isa);
                    });
}

double sum_of_magnitudes(const Tensor& model, const Tensor& base, int64_t start, int64_t elements, bool f64,
                         const Execution& how) {
  alignas(64) static constexpr char zeros[kSumBlock * 8] = {};
  alignas(64) static constexpr auto all = [] {
    std::array<uint8_t, kSumBlock / 8 + 8> bits{};  // a kernel of 16 lanes reads one byte on
    bits.fill(0xff);
    return bits;
  }();
  return sum_blocks(elements, 2, how.threads, [&](int64_t first, int64_t n, int, double* sums) {
    const DeltaSpan span{base.data ? base.at(start + first) : zeros, base.data ? base.dtype : model.dtype,
                         model.at(start + first), model.dtype, n};
    const MassCall call{span, all.data(), sums};
    f64 ? mass<double>(call) : fk_mass[static_cast<int>(how.isa)](call);
  })[0];
}

}  // namespace

void gram_matrix(const Group& group, int64_t elements, double* out, const Execution& how) {
  const size_t count = group.models.size();
  const auto scratch = worker_scratch(how.threads, gram_scratch_bytes(static_cast<int>(count)));
  const std::vector<double> products = products_of(group, 0, elements, scratch, how);
  const double* product = products.data();
  for (size_t j = 0; j < count; ++j)
    for (size_t k = j; k < count; ++k) out[j * count + k] = out[k * count + j] = canonical(*product++);
}

void dot_products(const Tensor& left, const Group& group, int64_t elements, double* out, const Execution& how) {
  const size_t count = group.models.size();
  const std::vector<double> products =
      sum_blocks(elements, count, how.threads, [&](int64_t first, int64_t n, int, double* sums) {
        const Pointers from(group.models, first);
        const DotCall call{left.at(first),
                           left.dtype,
                           from.models.data(),
                           from.dtypes.data(),
                           static_cast<int>(count),
                           at(group.base, first),
                           group.base.dtype,
                           n,
                           sums};
        group.f64 ? dots<double>(call) : fk_dots[static_cast<int>(how.isa)](call);
      });
  std::transform(products.begin(), products.end(), out, canonical);
}

void norms(const Group& group, const Rows& rows, int p, double* out, const Execution& how) {
  const bool row_by_row = rows.count >= how.threads;
  const int workers = row_by_row ? how.threads : 1;
  const Execution within{how.isa, row_by_row ? 1 : how.threads};
  std::vector<std::vector<Scratch>> scratch;
  for (int worker = 0; worker < workers; ++worker)
    scratch.push_back(worker_scratch(within.threads, gram_scratch_bytes(1)));
  const auto vectors = static_cast<int64_t>(group.models.size()) * rows.count;
  for_each_unit(vectors, vectors * rows.length, workers, [&](int64_t vector, int worker) {
    const auto model = static_cast<size_t>(vector / rows.count);
    const int64_t start = vector % rows.count * rows.length;
    const double norm = p == 1
                            ? sum_of_magnitudes(group.models[model], group.base, start, rows.length, group.f64, within)
                            : std::sqrt(products_of({group.models.subspan(model, 1), group.base, group.f64}, start,
                                                    rows.length, scratch[static_cast<size_t>(worker)], within)[0]);
    out[vector] = canonical(norm);
  });
}

}  // namespace fk::ops
