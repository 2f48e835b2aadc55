// gram_run.hpp: the passes over one tensor of a gram method: dot products, coefficients, weighted sum.
#pragma once
#include "stream/fold_tile.hpp"
#include "stream/run.hpp"

namespace fk {

// The tensor is one vector.
class GramRun : public Run {
 public:
  GramRun(const MergeContext& context, const Job& job);
  int64_t units() const override { return tiles_.count(); }
  void work(int64_t tile, TileBuffers& buffers) override;
  bool advance() override;

 protected:
  const MergeContext& context_;
  Tiles tiles_;
  bool summing_ = true;
  std::vector<double> sums_;  // per tile
  FoldParameters parameters_;
};

// Every row is a vector. Rows are whole within a tile, so one pass does everything.
class RowGramRun : public Run {
 public:
  RowGramRun(const MergeContext& context, const Job& job);
  int64_t units() const override { return tiles_.count(); }
  void work(int64_t tile, TileBuffers& buffers) override;
  bool advance() override { return false; }

 protected:
  const MergeContext& context_;
  Tiles tiles_;
};

// Every column is a vector, summed by one thread from the first row to the last.
class ColumnGramRun : public Run {
 public:
  ColumnGramRun(const MergeContext& context, const Job& job);
  int64_t units() const override { return summing_ ? 1 : tiles_.count(); }
  void work(int64_t tile, TileBuffers& buffers) override;
  bool advance() override;
  static int64_t bytes(const Job& job);  // of sums and weights

 private:
  void sum(TileBuffers& buffers);
  template <class T>
  void find_weights();

 protected:
  const MergeContext& context_;
  Tiles tiles_;
  bool summing_ = true;
  std::vector<double> sums_;  // pairs x columns
  std::vector<std::byte> weights_;
  FoldParameters parameters_;
};

}  // namespace fk
