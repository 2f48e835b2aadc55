// masks.hpp: which elements of a tile's deltas are kept, one bit each: drawn at random, or by their thresholds.
#pragma once
#include "core/draws.hpp"
#include "statistics/ranks.hpp"
#include "stream/selection.hpp"
#include "stream/tiles.hpp"

namespace fk {

// The masks of a method that draws them. Where they are needed twice and `store` has room, they are drawn once.
class Masks {
 public:
  Masks() = default;
  Masks(const MergeContext& context, const Job& job, const Values& values, std::span<char> store);

  // Of every model, for the elements of the tile; bit 0 is its first.
  const uint8_t* const* draw(const Tiles& tiles, int64_t tile, TileBuffers& buffers);
  // By what share of kept draws the model is thinned: what rescaling divides by.
  double density(int k) const { return below_[static_cast<size_t>(k)] / 65536.0; }

  static int64_t stored_bytes(const Job& job) { return job.count() * ((job.units() + 63) / 64 * 8); }

 private:
  void draw_model(const Tiles& tiles, int64_t tile, int k, TileBuffers& buffers, uint8_t* bits) const;
  void draw_by_rank(const Tiles& tiles, int64_t tile, int k, TileBuffers& buffers, uint8_t* bits) const;
  template <class Bits>
  void rank_row(const Tiles& tiles, int64_t tile, int k, int64_t row, TileBuffers& buffers, uint8_t* bits) const;

  Isa isa_ = Isa::base;
  const Job* job_ = nullptr;
  std::vector<uint32_t> below_;
  std::vector<uint64_t> keys_;
  std::vector<RankOdds> odds_;
  std::vector<char> ranked_;  // by model; if not, kept whatever the rank
  std::span<char> store_;     // empty: drawn anew each time
  std::vector<char> stored_;  // per tile
};

// What rank_row needs for a row of so many columns.
int64_t rank_row_bytes(int64_t columns, bool f64);

// The masks of a method that trims, as the fold itself would decide.
const uint8_t* const* threshold_masks(const Selection& cuts, int64_t cut_offset, const Tiles& tiles, int64_t tile,
                                      TileBuffers& buffers, Isa isa);

}  // namespace fk
