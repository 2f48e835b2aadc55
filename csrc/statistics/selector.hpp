// selector.hpp: the exact k-th largest magnitude of a tensor that is read in tiles, in bounded memory.
//
// A sample brackets the cut; one pass counts what lies above the bracket and collects what lies inside it; the answer
// is the k-th of those. Where the sample misled, or the bracket holds more than the buffer (heavy ties), histograms
// narrow it first; a bracket of a single magnitude only needs its equals counted. The answer is unique (larger
// magnitude first, lower index first among equals), so the way to it cannot show in a result. A Selector knows no
// instruction set and no file: it says what the next pass looks for, and is told what was found.
#pragma once
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace fk {

// Elements up to index `last` are kept from `threshold` on, those after it only above `threshold`.
struct Cut {
  int64_t threshold, last;
};

class Selector {
 public:
  enum class Pass { sample, collect, histogram, pinpoint, done };
  static constexpr int kHeavy = 2;  // magnitudes that are counted, not collected
  static constexpr int kBins = 2048;
  static constexpr int kRun = 64;               // elements of one sampled run
  static constexpr int64_t kUnsampled = 16384;  // tensors up to this size are collected whole

  // The `keep` largest of n magnitudes, each below `magnitude_end`. `entries` is scratch; more of it saves passes.
  Selector(int64_t n, int64_t keep, int64_t magnitude_end, int64_t tile_count, std::span<uint64_t> entries);

  static int64_t keep_for(double density, int64_t n);
  static int64_t wanted_entries(int64_t n);  // beyond this, more scratch saves nothing

  Pass pass() const { return pass_; }
  const Cut& cut() const { return cut_; }
  int64_t low() const { return low_; }
  int64_t high() const { return high_; }
  int shift() const { return shift_; }
  int index_bits() const { return index_bits_; }
  int64_t heavy(int which) const { return heavy_[which]; }  // -1: none

  // The sample: the first element of each run, to be filled with kRun magnitudes each through sample_run().
  int64_t run_count() const { return runs_; }
  int64_t run_start(int64_t run) const;
  int64_t* sample_run(int64_t run) { return reinterpret_cast<int64_t*>(entries_.data()) + run * kRun; }

  // What one tile had, or a part of it; callable from several threads at once.
  struct Found {
    int64_t above = 0;                       // magnitudes >= high()
    int64_t inside = 0;                      // in the bracket, heavy ones not counted
    int64_t equal[kHeavy] = {};              // of each heavy magnitude
    std::span<const uint64_t> entries = {};  // of those inside (collect)
    std::span<const uint32_t> bins = {};     // (histogram)
  };
  void add(int64_t tile, const Found& found);
  // The pinpoint pass looks at one tile only: where is its wanted_equal()-th element of the cut's magnitude?
  int64_t pinpoint_tile() const { return pinpoint_tile_; }
  int64_t wanted_equal() const { return wanted_equal_; }
  void pinpointed(int64_t index) { cut_.last = index; }

  // Call when every tile has been added: decides on the next pass.
  void advance();

 private:
  void bracket_by_sample();
  int64_t name_heavy(std::span<int64_t> inside);
  void choose_pass(int64_t expected_inside);
  void settle();
  void settle_rank();
  void take_entry(int64_t rank);
  void take_heavy(int which, int64_t wanted);
  void take_bin();
  void finish(int64_t threshold, int64_t last);

  int64_t n_, keep_, end_, tile_count_;
  std::span<uint64_t> entries_;
  int index_bits_;
  int64_t runs_ = 0;

  Pass pass_;
  int64_t low_ = 0, high_;
  int shift_ = 0;
  Cut cut_{};

  std::mutex mutex_;
  int64_t above_ = 0, inside_ = 0, collected_ = 0;
  int64_t heavy_[kHeavy] = {-1, -1}, equal_[kHeavy] = {};  // heavier magnitudes first
  std::vector<uint64_t> bins_;
  std::vector<int64_t> equals_by_tile_[kHeavy];
  int64_t pinpoint_tile_ = 0, wanted_equal_ = 0;
};

}  // namespace fk
