// products.cpp: blocks are summed, then their sums by a tree, then these become the numbers that are asked for.
#include "core/summation.hpp"
#include "cuda/check.hpp"
#include "cuda/ops/enqueue.hpp"
#include "cuda/ops/kernels.hpp"
#include "cuda/ops/operations.hpp"

namespace fk::cuda {
namespace {

void write_zeros(double* out, int64_t count, const DeviceExecution& how) {
  if (count == 0) return;
  enqueue(how, [&](Memory&) {
    return [=](const Queue& queue) {
      check(cudaMemsetAsync(out, 0, static_cast<size_t>(count) * sizeof(double), queue.stream), "clear device memory");
    };
  });
}

// `width` sums of each row of a table's tensor.
class Sums {
 public:
  Sums(const Rows& rows, int width, Memory& memory) : rows_(rows), width_(width), memory_(memory) {}
  void add(const FoldTensor* tensor, double* totals) {
    const int64_t blocks = pieces(rows_.length, kSumBlock);
    list_.push_back({tensor, 0, rows_.count, rows_.length, batch_.blocks, batch_.vectors, blocks,
                     memory_.scratch<double>(rows_.count * blocks * width_), width_, totals});
    batch_.blocks += rows_.count * blocks;
    batch_.vectors += rows_.count;
    ++batch_.count;
  }
  SumBatch batch() {
    batch_.tensors = memory_.copy(list_).there;
    return batch_;
  }

 private:
  Rows rows_;
  int width_;
  Memory& memory_;
  std::vector<SumTensor> list_;
  SumBatch batch_{};
};

// Sums over all elements of all models, `width` of them.
struct Described {
  SumBatch batch;
  double* totals;
};
Described describe_sums(const Group& group, int64_t elements, int width, Memory& memory) {
  double* const totals = memory.scratch<double>(width);
  Sums sums({1, elements}, width, memory);
  sums.add(describe_tensors(group.models, group.base, elements, memory).there, totals);
  return {sums.batch(), totals};
}

}  // namespace

void gram_matrix(const Group& group, int64_t elements, double* out, const DeviceExecution& how) {
  const auto count = static_cast<int>(group.models.size());
  if (elements == 0) return write_zeros(out, int64_t{count} * count, how);
  enqueue(how, [&](Memory& memory) {
    const Described sums = describe_sums(group, elements, pair_count(count), memory);
    return [=, f64 = group.f64](const Queue& queue) {
      sum_products(sums.batch, count, f64, queue);
      square_gram(sums.totals, count, out, queue);
    };
  });
}

void dot_products(const Tensor& left, const Group& group, int64_t elements, double* out, const DeviceExecution& how) {
  const auto count = static_cast<int>(group.models.size());
  if (elements == 0) return write_zeros(out, count, how);
  enqueue(how, [&](Memory& memory) {
    const Described sums = describe_sums(group, elements, count, memory);
    return [=, f64 = group.f64](const Queue& queue) {
      sum_dots(sums.batch, array_of(left), count, f64, queue);
      finish_sums(sums.totals, 1, count, false, out, queue);
    };
  });
}

void norms(const Group& group, const Rows& rows, int p, double* out, const DeviceExecution& how) {
  const auto count = static_cast<int64_t>(group.models.size()) * rows.count;
  if (rows.elements() == 0) return write_zeros(out, count, how);
  const int width = p == 1 ? 2 : 1;  // magnitudes are summed twice: all, and those kept
  enqueue(how, [&](Memory& memory) {
    double* const totals = memory.scratch<double>(count * width);
    Sums sums(rows, width, memory);
    for (size_t k = 0; k < group.models.size(); ++k)
      sums.add(describe_tensors(group.models.subspan(k, 1), group.base, rows.elements(), memory).there,
               totals + static_cast<int64_t>(k) * rows.count * width);
    const SumBatch batch = sums.batch();
    return [=, f64 = group.f64](const Queue& queue) {
      (p == 1 ? sum_masses : sum_products)(batch, 1, f64, queue);
      finish_sums(totals, width, count, p == 2, out, queue);
    };
  });
}

}  // namespace fk::cuda
