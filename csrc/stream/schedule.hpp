// schedule.hpp: hands out units of work in the order of the jobs, so that files are read from front to back.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <list>

#include "cpu/fp_environment.hpp"
#include "stream/model_scope.hpp"
#include "stream/run.hpp"

namespace fk {

class Schedule {
 public:
  Schedule(MergeContext& context, char* slots) : context_(context), assigned_(assign(context)) {
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

  // `sets`: buffers of as many units as the thread has under way at once.
  void run_worker(std::span<TileBuffers> sets) {
    const FpEnvironment environment;
    try {
      std::deque<UnderWay> under_way;
      size_t turn = 0;
      std::unique_lock lock(mutex_);
      for (;;) {
        Active* const active = claim(lock, under_way.empty());
        if (active) {
          under_way.push_back({active, active->next++, &sets[turn++ % sets.size()]});
          lock.unlock();
          active->run->work(under_way.back().unit, *under_way.back().buffers);
          lock.lock();
        }
        if (under_way.empty()) break;
        if (active && under_way.size() < sets.size()) continue;
        finish_unit(under_way.front(), lock);
        under_way.pop_front();
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
    int64_t tensors = 0;
  };
  struct UnderWay {
    Active* active;
    int64_t unit;
    TileBuffers* buffers;
  };

  void finish_unit(const UnderWay& begun, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    begun.active->run->finish(begun.unit, *begun.buffers);
    lock.lock();
    if (++begun.active->done == begun.active->run->units()) finish_pass(*begun.active, lock);
  }

  bool finished() const { return next_ == assigned_.size() && active_.empty(); }

  // Null where nothing is left, or, unless it may wait, nothing for now.
  Active* claim(std::unique_lock<std::mutex>& lock, bool may_wait) {
    while (!error_) {
      for (Active& active : active_)
        if (!active.deciding && active.next < active.run->units()) return &active;
      if (next_ < assigned_.size() && !free_slots_.empty() && !scope_) {
        begin(assigned_[next_++]);
      } else if (finished() || !may_wait) {
        return nullptr;
      } else {
        changed_.wait(lock);
      }
    }
    return nullptr;
  }

  void begin(const Assignment& assignment) {
    char* const slot = free_slots_.back();
    active_.emplace_back(make_run(context_, assignment, {slot, static_cast<size_t>(context_.plan.slot_bytes)}), slot);
    active_.back().tensors = static_cast<int64_t>(assignment.jobs.size());
    if (active_.back().run->units() == 0) {  // tensors without elements
      context_.record.tensors_done.fetch_add(active_.back().tensors, std::memory_order_relaxed);
      active_.pop_back();
      if (finished()) changed_.notify_all();
      return;
    }
    free_slots_.pop_back();
    const std::lock_guard record_lock(context_.record.mutex);
    context_.record.tensor = assignment.jobs[0]->name;
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
      context_.record.tensors_done.fetch_add(active.tensors, std::memory_order_relaxed);
      active_.remove_if([&](const Active& other) { return &other == &active; });
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
  std::vector<Assignment> assigned_;
  ModelScope* scope_ = nullptr;  // while it is under way
  std::unique_ptr<Run> finished_scope_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Active> active_;
  std::vector<char*> free_slots_;
  size_t next_ = 0;  // of what is assigned
  std::exception_ptr error_;
};

}  // namespace fk
