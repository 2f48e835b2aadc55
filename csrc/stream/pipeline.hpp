// pipeline.hpp: run a merge: several tensors at once, tile by tile, on all cores, in one block of memory.
#pragma once
#include <functional>

#include "stream/run.hpp"

namespace fk {

// Called about ten times a second from the calling thread; what it throws stops the merge and comes out of run_merge.
using Observer = std::function<void(const MergeRecord&)>;

struct MergeOutcome {
  double seconds = 0;
  Isa isa = Isa::base;
  WorkspacePlan plan{};
};

// `workspace` has room for plan_workspace(call).total() bytes. Throws what the first failing thread threw.
MergeOutcome run_merge(const MergeCall& call, char* workspace, MergeRecord& record, const Observer& observe);

}  // namespace fk
