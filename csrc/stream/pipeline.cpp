// pipeline.cpp: the threads of a merge, fed from one queue of tiles.
#include "stream/pipeline.hpp"

#include <fcntl.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <thread>
#include <utility>

#include "cpu/fp_environment.hpp"
#include "stream/device_lanes.hpp"
#include "stream/model_scope.hpp"

namespace fk {
namespace {

using Clock = std::chrono::steady_clock;

// Hands out units of work in the order of the jobs, so that files are read from front to back.
class Schedule {
 public:
  Schedule(MergeContext& context, char* slots) : context_(context) {
    const WorkspacePlan& plan = context.plan;
    for (int i = 0; i < plan.slots; ++i) free_slots_.push_back(slots + i * plan.slot_bytes);
    if (!context.call.scopes_model()) return;
    // Until every model's cuts are known no tensor is begun, and the slots' memory serves to find them.
    auto scope =
        std::make_unique<ModelScope>(context, std::span(slots, static_cast<size_t>(plan.slots * plan.slot_bytes)));
    scope_ = scope.get();
    active_.emplace_back(std::move(scope), nullptr);
    if (scope_->units() == 0) finish_scope(active_.back());
  }

  void run_worker(TileBuffers& buffers) {
    const FpEnvironment environment;
    try {
      std::unique_lock lock(mutex_);
      while (Active* active = claim(lock)) {
        const int64_t unit = active->next++;
        lock.unlock();
        active->run->work(unit, buffers);
        lock.lock();
        if (++active->done == active->run->units()) finish_pass(*active, lock);
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    changed_.notify_all();
  }

  // Until all work is done or has failed, but not longer than a tenth of a second.
  bool wait_finished() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return finished() || error_; });
    return finished() || error_;
  }
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct Active {
    Active(std::unique_ptr<Run> run, char* slot) : run(std::move(run)), slot(slot) {}
    std::unique_ptr<Run> run;
    char* slot;
    int64_t next = 0, done = 0;
    bool deciding = false;  // between two passes
  };

  bool finished() const { return next_job_ == context_.call.jobs.size() && active_.empty(); }

  Active* claim(std::unique_lock<std::mutex>& lock) {
    while (!error_) {
      for (Active& active : active_)
        if (!active.deciding && active.next < active.run->units()) return &active;
      if (next_job_ < context_.call.jobs.size() && !free_slots_.empty() && !scope_) {
        begin(context_.call.jobs[next_job_++]);
      } else if (finished()) {
        return nullptr;
      } else {
        changed_.wait(lock);
      }
    }
    return nullptr;
  }

  void begin(const Job& job) {
    char* const slot = free_slots_.back();
    active_.emplace_back(make_run(context_, job, {slot, static_cast<size_t>(context_.plan.slot_bytes)}), slot);
    if (active_.back().run->units() == 0) {  // a tensor without elements
      active_.pop_back();
      context_.record.tensors_done.fetch_add(1, std::memory_order_relaxed);
      if (finished()) changed_.notify_all();
      return;
    }
    free_slots_.pop_back();
    const std::lock_guard record_lock(context_.record.mutex);
    context_.record.tensor = job.name;
  }

  void finish_pass(Active& active, std::unique_lock<std::mutex>& lock) {
    active.deciding = true;
    lock.unlock();
    const bool more = active.run->advance();
    lock.lock();
    if (more) {
      active.next = active.done = 0;
      active.deciding = false;
    } else if (active.run.get() == scope_) {
      finish_scope(active);
    } else {
      free_slots_.push_back(active.slot);
      active_.remove_if([&](const Active& other) { return &other == &active; });
      context_.record.tensors_done.fetch_add(1, std::memory_order_relaxed);
    }
    changed_.notify_all();
  }

  void finish_scope(Active& active) {
    context_.model_cuts = &scope_->cuts();
    finished_scope_ = std::move(active.run);
    scope_ = nullptr;
    active_.clear();  // there was nothing else
  }

  MergeContext& context_;
  ModelScope* scope_ = nullptr;  // while it is under way
  std::unique_ptr<Run> finished_scope_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Active> active_;
  std::vector<char*> free_slots_;
  size_t next_job_ = 0;
  std::exception_ptr error_;
};

TileBuffers cut_buffers(const WorkspacePlan& plan, char* from) {
  TileBuffers buffers;
  const auto take = [&](int64_t bytes) { return std::exchange(from, from + bytes); };
  for (int i = 0; i < plan.most_inputs; ++i) buffers.inputs.push_back(take(plan.tile_bytes));
  buffers.output = take(plan.tile_bytes);
  for (int i = 1; i < plan.most_inputs; ++i) buffers.masks.push_back(reinterpret_cast<uint8_t*>(take(plan.mask_bytes)));
  buffers.stored_masks.resize(buffers.masks.size());
  buffers.row = take(plan.row_bytes);
  buffers.scratch = from;
  buffers.loaded.resize(static_cast<size_t>(plan.most_inputs));
  return buffers;
}

int64_t total_bytes(const MergeCall& call) {
  int64_t bytes = 0;
  for (const Job& job : call.jobs) bytes += job.bytes();
  return bytes;
}

}  // namespace

MergeOutcome run_merge(const MergeCall& call, char* workspace, MergeRecord& record, const Observer& observe) {
  const auto start = Clock::now();
  MergeOutcome outcome{0, choose_isa(call.isa), plan_workspace(call)};
  const WorkspacePlan& plan = outcome.plan;
  for (const Buffer& buffer : call.buffers)
    if (buffer.is_file()) posix_fadvise(buffer.file, 0, 0, POSIX_FADV_SEQUENTIAL);

  MergeContext context{call, plan, outcome.isa, record};
  const DeviceLanes lanes(call, plan, workspace);
  context.backend = lanes.backend();
  Schedule schedule(context, workspace + plan.threads * plan.thread_bytes);
  std::vector<TileBuffers> buffers;
  for (int i = 0; i < plan.threads; ++i) {
    buffers.push_back(cut_buffers(plan, workspace + i * plan.thread_bytes));
    buffers.back().lane = lanes.of_thread(i);
  }

  if (constexpr int64_t kWorthThreads = 1 << 20; total_bytes(call) < kWorthThreads) {
    schedule.run_worker(buffers[0]);
  } else {
    std::vector<std::jthread> threads;  // joined on every way out
    for (TileBuffers& own : buffers) threads.emplace_back([&schedule, &own] { schedule.run_worker(own); });
    while (!schedule.wait_finished()) {
      try {
        if (observe) observe(record);
      } catch (...) {
        schedule.fail(std::current_exception());
      }
    }
  }
  schedule.rethrow();
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome;
}

}  // namespace fk
