// selection.hpp: where each model's deltas are trimmed, in one tensor or over all tensors of a model.
#pragma once
#include <functional>
#include <memory>

#include "cpu/select.hpp"
#include "stream/device_backend.hpp"

namespace fk {

class Selection {
 public:
  Selection() = default;
  // `tile_count` tiles are numbered in the order of their elements. `scratch` bounds what is collected, not the answer.
  Selection(const Method& method, const Values& values, int models, int64_t n, int64_t tile_count, bool f64,
            std::span<char> scratch);

  enum class Pass { sample, scan, done };
  Pass pass() const;
  // Fills in the magnitudes of Selector::kRun elements of model k from `first` on.
  using ReadMagnitudes = std::function<void(int k, int64_t first, int64_t* magnitudes)>;
  void sample(const ReadMagnitudes& read);
  bool wants(int k, int64_t tile) const;
  void scan(int k, const DeltaSpan& span, int64_t first, int64_t tile, Isa isa);
  // The same for who scans elsewhere: what is asked of the tile, and whom to tell.
  std::vector<ScanRequest> requests(int64_t tile) const;
  Selector& selector_of(const ScanRequest& request);
  void advance();  // when every tile has been scanned

  // Between two ends, as offsets from `first`, what a kernel compares with does not change. Sorted; the last one is n.
  std::vector<int64_t> ends(int64_t first, int64_t n) const;
  // What model k's deltas are compared with at element `first`.
  void apply(const Method& method, FoldParameters& parameters, int64_t first) const;
  std::pair<int64_t, int64_t> limits(int k, int64_t first) const;  // above, ceiling
  // The same for all elements.
  TensorFacts facts(const Method& method, int models) const;

 private:
  struct CutOf {
    int model, which;  // which: see Method::set_cut
    std::unique_ptr<Selector> selector;
  };
  int64_t limit(const CutOf& cut, int64_t first) const;
  int64_t highest() const { return f64_ ? INT64_MAX : INT32_MAX; }
  std::vector<CutOf> cuts_;
  bool f64_ = false;
};

}  // namespace fk
