// device_scan.hpp: a tile's share of the searches for cuts, counted by a GPU.
#pragma once
#include "stream/device_tile.hpp"
#include "stream/selection.hpp"

namespace fk {

// Tile `tile` of `tiles` is number `number` of those that the selection is fed with.
void begin_scan(const MergeContext& context, Selection& selection, const Tiles& tiles, int64_t tile, int64_t number,
                TileBuffers& buffers);
// The same once more, after other tiles were begun: waits, and tells the selection. `cut_offset`: what the selection
// numbers the tensor's first element.
void finish_scan(const MergeContext& context, Selection& selection, const Tiles& tiles, int64_t tile, int64_t number,
                 int64_t cut_offset, TileBuffers& buffers);

}  // namespace fk
