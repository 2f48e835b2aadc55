// gram_merge.hpp: the passes of a gram method over tensors in a GPU's memory: the host sees all dot products at once.
#pragma once
#include "cuda/groups.hpp"
#include "cuda/peaks.hpp"

namespace fk::cuda {

class GramMerge {
 public:
  GramMerge(const MergeCall& call, const std::vector<ResidentTensor>& tensors, const Peaks& peaks, Memory& memory);
  // Waits for the device, once, unless the weights are known.
  void run(const Queue& queue);
  // Of a part of one tensor: the dot products alone; its columns' are added to `sums`.
  void sum(const Queue& queue);
  void add_columns(double* sums, const Queue& queue);
  const double* products() const { return totals_; }

 private:
  // A tensor's dot products on their way to weights.
  struct Vectors {
    const Job* job;
    int64_t count;         // of vectors
    bool by_column;        // products lie pair by pair, else vector by vector
    int64_t first_total;   // of its dot products, among all
    int64_t first_weight;  // of its weights, among all bytes of them
  };
  struct Passes {
    Group* group;
    int most_models = 0;
    std::vector<Vectors> vectors;  // of every member
    std::vector<SumTensor> sum_list;
    std::vector<VectorTensor> vector_list;
    SumBatch sums{};
    VectorBatch weighted{};
    Memory::Table<VectorTensor> vector_table;
  };

  void measure(Passes& passes, size_t i);
  void describe(Passes& passes, size_t i);
  std::vector<char> find_weights(const Queue& queue);
  template <class T>
  void find_weights(const Vectors& vectors, const double* products, char* weights) const;

  const MergeCall& call_;
  Memory& memory_;
  std::map<FoldKind, Group> groups_;
  std::vector<Passes> passes_;
  std::span<const std::byte> known_weights_;
  int64_t total_count_ = 0, weight_bytes_ = 0;
  double* totals_ = nullptr;
  char* weights_ = nullptr;
};

}  // namespace fk::cuda
