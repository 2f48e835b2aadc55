// workspace.hpp: the one block of memory a merge works in, measured beforehand and cut into parts.
#pragma once
#include "stream/job.hpp"

namespace fk {

inline constexpr size_t kMostTogether = 4096;  // small tensors that a GPU merges at once

struct WorkspacePlan {
  int threads;
  int depth;  // how many tiles a thread has under way at once: on a GPU, one is read while another is merged
  int64_t tile_elements;      // 4096 * 2^m
  int64_t tile_bytes;         // room for one input's tile
  int most_inputs;            // base included
  int64_t mask_bytes;         // room for one model's mask of a tile, 0 if there are none
  int64_t row_bytes;          // room to rank a row, 0 if none are ranked
  int64_t found_bytes;        // room for what a GPU finds out about a tile, 0 without one
  int64_t set_bytes;          // tiles of all inputs and the output, masks, a row, what is found, and a kernel's scratch
  int slots;                  // how many tensors may be under way at once
  int64_t slot_bytes;         // what is collected about one of them
  int64_t device_tile_bytes;  // of a GPU's memory: what a tile takes at most
  int64_t device_bytes;       // the same: what one of the sets of buffers may take
  int64_t total() const { return threads * depth * set_bytes + slots * slot_bytes; }
};

// Throws InvalidArgument where the memory limit is below what one core needs with the smallest tile.
WorkspacePlan plan_workspace(const MergeCall& call);

}  // namespace fk
