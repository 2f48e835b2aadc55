// tree_sum.hpp: a pairwise sum over numbered blocks, the same whichever way the blocks were grouped into tiles.
//
// Level by level, neighbours 2i and 2i + 1 are added and an odd last one is carried up. A tile of a power of two of
// blocks that starts at a multiple of its size is a subtree, so tiles can be summed first and their sums by the same
// rule.
#pragma once
#include <cstddef>
#include <span>

namespace fk {

// Each item is `width` doubles; the sum ends in the first item. `items` is overwritten.
inline void tree_sum(std::span<double> items, size_t width) {
  for (size_t count = items.size() / width; count > 1; count = (count + 1) / 2) {
    for (size_t i = 0; 2 * i < count; ++i) {
      for (size_t j = 0; j < width; ++j) {
        const double left = items[2 * i * width + j];
        items[i * width + j] = 2 * i + 1 < count ? left + items[(2 * i + 1) * width + j] : left;
      }
    }
  }
}

}  // namespace fk
