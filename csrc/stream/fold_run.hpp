// fold_run.hpp: the passes over one tensor of a fold method: where to trim, how much to rescale, the result.
#pragma once
#include "stream/fold_tile.hpp"
#include "stream/masks.hpp"
#include "stream/run.hpp"
#include "stream/selection.hpp"

namespace fk {

class FoldRun : public Run {
 public:
  FoldRun(const MergeContext& context, const Job& job, std::span<char> slot);
  int64_t units() const override { return units_; }
  void work(int64_t unit, TileBuffers& buffers) override;
  bool advance() override;

 protected:
  enum class Phase { sample, scan, mass, output };

  // Of one tile, of every model: the share of the search for its cuts, its L1 norms, the result.
  virtual void scan(int64_t tile, TileBuffers& buffers);
  virtual void measure(int64_t tile, TileBuffers& buffers);
  virtual void fold(int64_t tile, TileBuffers& buffers);

 private:
  void begin_scan();
  void begin_mass();
  void begin_output();
  void sample();
  std::vector<double> factors_by_mass();
  std::vector<double> factors_by_density() const;

 protected:
  const MergeContext& context_;
  const Values& values_;
  Tiles tiles_;
  Phase phase_ = Phase::output;
  int64_t units_ = 0;
  FoldParameters parameters_;
  Selection own_cuts_;               // scope tensor
  const Selection* cuts_ = nullptr;  // of this tensor or of the model
  int64_t cut_offset_ = 0;           // of this tensor's first element, in what the cuts count
  Masks masks_;
  std::vector<double> sums_;     // per tile and model: L1 of all, of the kept
  std::vector<double> factors_;  // of each model, where it is rescaled
};

}  // namespace fk
