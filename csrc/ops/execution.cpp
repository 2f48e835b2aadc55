// execution.cpp: the threads of one operation. They live as long as the call.
#include "ops/execution.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/fp_environment.hpp"

namespace fk::ops {
namespace {

constexpr int64_t kWorthThreads = 1 << 18;  // elements; below, starting a thread costs more than it saves

}  // namespace

void for_each_unit(int64_t units, int64_t elements, int threads, const std::function<void(int64_t, int)>& work) {
  const int workers = elements < kWorthThreads ? 1 : static_cast<int>(std::clamp<int64_t>(units, 1, threads));
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto run = [&](int worker) {
    const FpEnvironment environment;
    try {
      for (int64_t unit; (unit = next.fetch_add(1, std::memory_order_relaxed)) < units;) work(unit, worker);
    } catch (...) {
      next = units;
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;  // joined on every way out
    for (int worker = 1; worker < workers; ++worker) others.emplace_back(run, worker);
    run(0);
  }
  if (error) std::rethrow_exception(error);
}

void for_each_tile(int64_t elements, int threads, const std::function<void(int64_t, int64_t, int)>& work) {
  for_each_unit((elements + kTile - 1) / kTile, elements, threads, [&](int64_t tile, int worker) {
    const int64_t first = tile * kTile;
    work(first, std::min(kTile, elements - first), worker);
  });
}

}  // namespace fk::ops
