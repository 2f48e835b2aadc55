// gram_merge.cpp: dot products on the device, coefficients on the host, the weighted sum on the device.
#include "cuda/gram_merge.hpp"

#include <algorithm>
#include <iterator>

#include "core/summation.hpp"
#include "cuda/check.hpp"
#include "cuda/tuning.cuh"
#include "stream/coefficients.hpp"

namespace fk::cuda {
GramMerge::GramMerge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, const Peaks& peaks,
                     Memory& memory)
    : call_(call), memory_(memory), groups_(make_groups(call, tensors, peaks, memory)) {
  if (tensors.size() == 1 && tensors[0].facts()) known_weights_ = tensors[0].facts()->weights;
  for (auto& [kind, group] : groups_) {
    Passes& passes = passes_.emplace_back();
    passes.group = &group;
    for (size_t i = 0; i < group.members.size(); ++i) measure(passes, i);
  }
  // In one piece each, so that each is copied at once.
  totals_ = memory_.scratch<double>(total_count_);
  weights_ = memory_.scratch<char>(weight_bytes_);
  for (Passes& passes : passes_) {
    for (size_t i = 0; i < passes.group->members.size(); ++i) describe(passes, i);
    passes.sums.tensors = memory_.copy(passes.sum_list).there;
    passes.vector_table = memory_.copy(passes.vector_list);
    passes.weighted.tensors = passes.vector_table.there;
  }
}

void GramMerge::measure(Passes& passes, size_t i) {
  const ResidentTensor& member = *passes.group->members[i];
  const Job& job = *member.job;
  const Axis axis = call_.axis(job);
  const int64_t count = axis == Axis::tensor ? 1 : axis == Axis::row ? member.rows() : job.cols;
  passes.vectors.push_back({&job, count, axis == Axis::column, total_count_, weight_bytes_});
  total_count_ += count * pair_count(job.count());
  weight_bytes_ += (count * job.count() * (job.f64() ? 8 : 4) + 15) / 16 * 16;
  passes.most_models = std::max(passes.most_models, job.count());
}

void GramMerge::describe(Passes& passes, size_t i) {
  const Vectors& vectors = passes.vectors[i];
  const ResidentTensor& member = *passes.group->members[i];
  const Job& job = *member.job;
  FoldTensor& tensor = passes.group->tensors.here[i];
  const FoldTensor* const there = passes.group->tensors.there + i;
  FoldParameters parameters;
  const Values weightless{{{"weight", std::vector<double>(static_cast<size_t>(job.count()))}}};
  call_.method->resolve(weightless, job.count(), job.f64(), parameters);
  tensor.shared = memory_.copy(parameters.shared).there;
  tensor.parameters = weights_ + vectors.first_weight;
  double* const totals = totals_ + vectors.first_total;
  if (!vectors.by_column) {
    const int64_t length = tensor.n / vectors.count, blocks = pieces(length, kSumBlock);
    const int width = pair_count(job.count());
    passes.sum_list.push_back({there, 0, vectors.count, length, passes.sums.blocks, passes.sums.vectors, blocks,
                               memory_.scratch<double>(vectors.count * blocks * width), width, totals});
    passes.sums.blocks += vectors.count * blocks;
    passes.sums.vectors += vectors.count;
    ++passes.sums.count;
  }
  if (passes.group->kind.by_vector) {
    passes.vector_list.push_back({there, member.rows(), job.cols, vectors.by_column, member.part != nullptr, totals,
                                  tensor.parameters, passes.weighted.chunks});
    passes.weighted.chunks += pieces(tensor.n, kChunk);
    ++passes.weighted.count;
  }
}

void GramMerge::sum(const Queue& queue) {
  for (const Passes& passes : passes_) {
    const bool f64 = passes.group->kind.f64;
    if (passes.sums.count > 0) sum_products(passes.sums, passes.most_models, f64, queue);
    for (size_t i = 0; i < passes.vector_list.size(); ++i)
      if (passes.vector_list[i].by_column)
        sum_columns(passes.vector_list[i], passes.vector_table.there + i, f64, queue);
  }
}

void GramMerge::add_columns(double* sums, const Queue& queue) {
  const auto bytes = static_cast<size_t>(total_count_) * sizeof(double);
  check(cudaMemcpyAsync(totals_, sums, bytes, cudaMemcpyHostToDevice, queue.stream), "copy dot products to the device");
  sum(queue);
  check(cudaMemcpyAsync(sums, totals_, bytes, cudaMemcpyDeviceToHost, queue.stream),
        "copy dot products from the device");
}

std::vector<char> GramMerge::find_weights(const Queue& queue) {
  sum(queue);
  std::vector<double> products(static_cast<size_t>(total_count_));
  check(
      cudaMemcpyAsync(products.data(), totals_, products.size() * sizeof(double), cudaMemcpyDeviceToHost, queue.stream),
      "copy dot products from the device");
  check(cudaStreamSynchronize(queue.stream), "wait for dot products");
  std::vector<char> weights(static_cast<size_t>(weight_bytes_));
  for (const Passes& passes : passes_)
    for (const Vectors& vectors : passes.vectors) {
      char* const to = weights.data() + vectors.first_weight;
      const double* const from = products.data() + vectors.first_total;
      vectors.job->f64() ? find_weights<double>(vectors, from, to) : find_weights<float>(vectors, from, to);
    }
  return weights;
}

void GramMerge::run(const Queue& queue) {
  std::vector<char> weights;
  if (known_weights_.empty())
    weights = find_weights(queue);
  else
    std::transform(known_weights_.begin(), known_weights_.end(), std::back_inserter(weights),
                   [](std::byte one) { return static_cast<char>(one); });
  weights.resize(static_cast<size_t>(weight_bytes_));
  Memory::send(weights, weights_, queue);
  for (const Passes& passes : passes_) {
    const FoldKind& kind = passes.group->kind;
    if (kind.by_vector)
      sum_vectors(passes.weighted, kind.f64, queue);
    else
      gram_fold_kernel(kind.has_base)(kind, passes.group->batch(), queue);
  }
}

template <class T>
void GramMerge::find_weights(const Vectors& vectors, const double* products, char* weights) const {
  const auto pairs = static_cast<size_t>(pair_count(vectors.job->count()));
  const auto count = static_cast<size_t>(vectors.count);
  std::vector<double> own(pairs);
  for (size_t vector = 0; vector < count; ++vector) {
    for (size_t pair = 0; pair < pairs; ++pair)
      own[pair] = products[vectors.by_column ? pair * count + vector : vector * pairs + pair];
    const std::vector<double> found = find_coefficients(call_, *vectors.job, own);
    for (size_t k = 0; k < found.size(); ++k)
      reinterpret_cast<T*>(weights)[k * count + vector] = static_cast<T>(found[k]);
  }
}

}  // namespace fk::cuda
