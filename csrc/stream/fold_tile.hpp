// fold_tile.hpp: fold elements of a tile into the output's place, and look into what overflowed.
#pragma once
#include "cpu/inspect.hpp"
#include "stream/tiles.hpp"

namespace fk {

// The tile's inputs and output as a kernel takes them, to be folded whole or in parts.
class FoldTile {
 public:
  FoldTile(const MergeContext& context, const Tiles& tiles, int64_t tile, TileBuffers& buffers,
           const uint8_t* const* keep = nullptr, FoldFunction function = nullptr);

  // Elements begin to end of the tile. Throws where finite inputs give a result that is not, unless that is allowed.
  void fold(int64_t begin, int64_t end, const FoldParameters& parameters);
  void write() { tiles_.write(range_, out_); }
  const FoldCall& call() const { return call_; }
  const Tiles::Range& range() const { return range_; }

 private:
  void look_into(const FoldCall& part, int64_t first);

  const MergeContext& context_;
  const Tiles& tiles_;
  Tiles::Range range_;
  std::vector<const void*> models_;
  std::vector<DType> dtypes_;
  char* out_;
  FoldFunction function_;
  FoldCall call_;
};

}  // namespace fk
