// kernels.cu: how many blocks each kernel of a single operation is launched with.
#include "cuda/ops/kernels.hpp"

#include "cuda/launch.cuh"
#include "cuda/ops/keep.cuh"
#include "cuda/ops/products.cuh"
#include "cuda/ops/row_cuts.cuh"
#include "cuda/ops/signs.cuh"
#include "cuda/ops/weights.cuh"

namespace fk::cuda {
namespace {

// A thread for each of so many, as far as blocks go round.
dim3 grid_of(int64_t threads, const Queue& queue) { return dim3(blocks_for(pieces(threads, kThreads), queue)); }

template <class T>
void elect(Election by, const FoldBatch& batch, int count, const Queue& queue) {
  const auto run = [&](auto* kernel) {
    launch(kernel, dim3(blocks_for(batch.chunks, queue)), dim3(kThreads), queue.stream, batch);
  };
  if (by == Election::count) return run(elect_kernel<Votes, T, 0>);
  if constexpr (sizeof(T) == 4) {
    if (count == 2) return run(elect_kernel<GramSum, T, 2>);
    if (count == 3) return run(elect_kernel<GramSum, T, 3>);
    if (count == 4) return run(elect_kernel<GramSum, T, 4>);
  }
  run(elect_kernel<GramSum, T, 0>);
}

}  // namespace

void describe_rows(const RowSearches& rows, int64_t first_row, int64_t count, const Queue& queue) {
  launch(describe_rows_kernel, grid_of(count, queue), dim3(kThreads), queue.stream, rows, size_of(rows.tensor.dtype),
         first_row, count);
}

void write_cuts(const Limit* limits, const Limit& all, int64_t count, bool f64, void* thresholds, int64_t* last,
                const Queue& queue) {
  const auto run = [&]<class T>(T* to) {
    launch(write_cuts_kernel<T>, grid_of(count, queue), dim3(kThreads), queue.stream, limits, all, count, to, last);
  };
  f64 ? run(static_cast<double*>(thresholds)) : run(static_cast<float*>(thresholds));
}

void keep_above(const Thinned& tensor, int64_t row_length, const void* thresholds, const int64_t* last, bool f64,
                const Queue& queue) {
  const auto run = [&]<class T>(const T* from) {
    launch(keep_above_kernel<T>, grid_of(pieces(tensor.n, kEight), queue), dim3(kThreads), queue.stream, tensor,
           row_length, from, last);
  };
  f64 ? run(static_cast<const double*>(thresholds)) : run(static_cast<const float*>(thresholds));
}

void keep_at_random(const Thinned& tensor, uint64_t key, uint32_t below, double factor, bool f64, const Queue& queue) {
  const auto run = [&]<class T>(T narrow) {
    launch(keep_random_kernel<T>, grid_of(pieces(tensor.n, kEight), queue), dim3(kThreads), queue.stream, tensor, key,
           below, narrow);
  };
  f64 ? run(factor) : run(static_cast<float>(factor));
}

void elect_sign(Election by, const FoldBatch& batch, int count, bool f64, const Queue& queue) {
  f64 ? elect<double>(by, batch, count, queue) : elect<float>(by, batch, count, queue);
}

void average_agreeing(const FoldBatch& batch, const int8_t* signs, bool f64, const Queue& queue) {
  launch(f64 ? agree_kernel<double> : agree_kernel<float>, dim3(blocks_for(batch.chunks, queue)), dim3(kThreads),
         queue.stream, batch, signs, reinterpret_cast<uintptr_t>(signs) % 8 == 0);
}

void square_gram(const double* triangle, int count, double* out, const Queue& queue) {
  launch(square_kernel, grid_of(int64_t{count} * count, queue), dim3(kThreads), queue.stream, triangle, count, out);
}

void finish_sums(const double* totals, int stride, int64_t count, bool root, double* out, const Queue& queue) {
  launch(finish_kernel, grid_of(count, queue), dim3(kThreads), queue.stream, totals, stride, count, root, out);
}

void narrow_weights(const double* from, int64_t count, int copies, bool f64, void* to, const Queue& queue) {
  const auto run = [&]<class T>(T* narrow) {
    launch(narrow_kernel<T>, dim3(1), dim3(kThreads), queue.stream, from, count, copies, narrow);
  };
  f64 ? run(static_cast<double*>(to)) : run(static_cast<float*>(to));
}

}  // namespace fk::cuda
