// run.hpp: something under way in passes, each cut in units of work that any thread may take.
#pragma once
#include <memory>

#include "stream/assignments.hpp"

namespace fk {

class Run {
 public:
  virtual ~Run() = default;
  virtual int64_t units() const = 0;  // of the current pass; 0: nothing to do at all
  virtual void work(int64_t unit, TileBuffers& buffers) = 0;
  // Of work that goes on elsewhere: waits for it, and takes what it found. Called with the same unit and buffers, by
  // the same thread, which may have begun other units in between.
  virtual void finish(int64_t /*unit*/, TileBuffers& /*buffers*/) {}
  virtual bool advance() = 0;  // when every unit is done: on to the next pass, or false after the last
};

// What is assigned, whole. `slot` is memory for what is collected about it.
std::unique_ptr<Run> make_run(const MergeContext& context, const Assignment& assignment, std::span<char> slot);
// One output tensor, by the processor.
std::unique_ptr<Run> make_cpu_run(const MergeContext& context, const Job& job, std::span<char> slot);

}  // namespace fk
