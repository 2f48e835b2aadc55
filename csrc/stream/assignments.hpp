// assignments.hpp: which tensors are merged together, and where: by the processor, whole in a GPU's memory, by tiles.
#pragma once
#include "stream/tiles.hpp"

namespace fk {

struct Assignment {
  enum class Place {
    processor,
    resident,  // whole tensors in a GPU's memory: all passes there, nothing is read twice
    tiled,     // tile by tile through the GPUs' memory, whatever the tensor's size
  };
  Place place;
  std::vector<const Job*> jobs;  // more than one only where they are resident
};

// All jobs, in their order but for small tensors, of which many are gathered for a GPU.
std::vector<Assignment> assign(const MergeContext& context);

}  // namespace fk
