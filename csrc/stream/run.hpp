// run.hpp: something under way in passes, each cut in units of work that any thread may take.
#pragma once
#include <memory>

#include "stream/tiles.hpp"

namespace fk {

class Run {
 public:
  virtual ~Run() = default;
  virtual int64_t units() const = 0;  // of the current pass; 0: nothing to do at all
  virtual void work(int64_t unit, TileBuffers& buffers) = 0;
  virtual bool advance() = 0;  // when every unit is done: on to the next pass, or false after the last
};

// One output tensor. `slot` is memory for what is collected about it.
std::unique_ptr<Run> make_run(const MergeContext& context, const Job& job, std::span<char> slot);
std::unique_ptr<Run> make_cpu_run(const MergeContext& context, const Job& job, std::span<char> slot);

}  // namespace fk
