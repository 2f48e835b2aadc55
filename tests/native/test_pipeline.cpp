// test_pipeline.cpp: many tensors, several threads: one answer, exact counts, and every way to stop leaves nothing
// behind.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "batch.hpp"

using namespace fk;
using namespace fk::test;

namespace {

// Tensors of all sizes: a few that keep every thread busy, hundreds that are over at once, copies between them.
std::unique_ptr<Batch> make_batch(Random random, const Method& method) {
  const int count = random.pick(counts(method, 4));
  auto batch = std::make_unique<Batch>(method, draw_values(random, method, count));
  batch->call().allow_nonfinite = true;
  const bool with_base = draw_base(random, method);
  const DType out = random.pick(kFloats);
  std::vector<DType> dtypes{out, out};
  for (int k = 0; k < count; ++k) dtypes.push_back(random.one_in(2) ? out : random.pick(kFloats));
  for (int i = 0; i < 60; ++i) {
    const Shape shape = i % 30 == 7 ? Shape{61 + random.below(40), 1009} : Shape{random.below(9), random.below(300)};
    const Pattern pattern = random.one_in(3) ? Pattern::few : Pattern::noise;
    batch->add_merge(random, dtypes, count, with_base, shape, pattern);
    const DType any = kDTypes[static_cast<size_t>(random.below(std::size(kDTypes)))].dtype;
    if (i % 10 == 0) batch->add_copy(random, any, shape, Job::Kind::copy, 1);
    if (i % 10 == 5) batch->add_copy(random, any, {3, 5000}, Job::Kind::equal, 3);
  }
  batch->add_copy(random, DType::i64, {3, 50000}, Job::Kind::copy, 1);  // enough bytes that threads are started
  return batch;
}

void check_threads(const Method& method) {
  const std::string name = method.info->name;
  uint64_t seed = 0;
  std::unique_ptr<Batch> batch;
  Outcome reference;
  do {
    CHECK(++seed < 100, name, ": hardly any parameters are accepted");
    batch = make_batch(Random(seed), method);
    reference = batch->run({.threads = 1});
  } while (!reference.error.empty());
  int64_t bytes = 0;
  for (const Job& job : batch->call().jobs) bytes += job.bytes();
  CHECK(reference.tensors_done == std::ssize(batch->call().jobs) && reference.bytes_written == bytes, name);
  batch->call().threads = 3;
  const int64_t least = least_memory(batch->call());
  for (const How& how : std::vector<How>{{.threads = 2, .filler = 1},
                                         {.threads = 7, .tile_elements = 4096, .filler = 2},
                                         {.threads = 3, .memory_limit = least, .filler = -1}}) {
    const Outcome outcome = batch->run(how);
    CHECK(outcome == reference, name, ", ", how.threads, " threads, seed ", seed, ": ", outcome.error);
    CHECK(outcome.tensors_done == reference.tensors_done && outcome.bytes_written == bytes, name);
  }
  CHECK(contains(batch->run({.threads = 3, .memory_limit = least - 1}).error, text("at least ", least)), name);
}

void check_two_merges_at_once(const Method& method) {
  const std::unique_ptr<Batch> one = make_batch(Random(4), method), other = make_batch(Random(4), method);
  Outcome outcomes[2];
  {
    const std::jthread beside([&] { outcomes[0] = one->run({.threads = 2}); });
    outcomes[1] = other->run({.threads = 2});
  }
  CHECK(outcomes[0].bytes == outcomes[1].bytes, method.info->name, ": ", outcomes[0].error, outcomes[1].error);
}

// A merge that takes minutes, in little memory: the same tensor again and again, written to nowhere.
struct Endless {
  Endless(Random& random, const Method& method) : nowhere(open("/dev/null", O_WRONLY)) {
    const int count = counts(method, 9)[0];
    batch = std::make_unique<Batch>(method, draw_values(random, method, count));
    batch->call().allow_nonfinite = true;
    batch->add_merge(random, {DType::f32}, count, draw_base(random, method), {100, 1000}, Pattern::noise);
    MergeCall& call = batch->call();
    call.buffers.push_back({nowhere});
    call.jobs[0].out.buffer = static_cast<int>(call.buffers.size()) - 1;
    call.jobs.resize(100'000, call.jobs[0]);
  }
  ~Endless() { close(nowhere); }
  int nowhere;
  std::unique_ptr<Batch> batch;
};

void check_stops(const Method& method) {
  struct Interrupted : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  Random random(5);
  const Endless endless(random, method);
  for (const bool cancels : {false, true}) {
    int64_t read_before = -1;
    int calls = 0;
    const Observer observe = [&](const MergeRecord& record) {
      CHECK(record.bytes_read >= read_before && record.tensors_done < 100'000, method.info->name);
      read_before = record.bytes_read;
      if (++calls < 2) return;
      if (cancels) throw Cancelled();
      throw Interrupted("the observer has seen enough");
    };
    const auto start = std::chrono::steady_clock::now();
    if (cancels)
      error_of<Cancelled>("cancelled", [&] { endless.batch->run({.threads = 3}, observe); });
    else
      error_of<Interrupted>("interrupted", [&] { endless.batch->run({.threads = 3}, observe); });
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20), method.info->name, " goes on and on");
  }
}

// The caller's rounding mode and flushing of subnormals change nothing, and are as before afterwards.
void check_float_modes(const Method& method) {
  Random random(6);
  const int count = counts(method, 9)[0];
  Batch batch(method, draw_values(random, method, count));
  batch.call().allow_nonfinite = true;
  batch.add_merge(random, {DType::f32}, count, draw_base(random, method), {31, 33}, Pattern::edges);
  const Outcome reference = batch.run({});
#if defined(__x86_64__)
  const unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0xffc0);  // towards zero, subnormals flushed on both sides
  const Outcome outcome = batch.run({});
  const unsigned after = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before);
  CHECK((after & ~0x3fu) == 0xffc0, method.info->name, " leaves another floating-point mode");
  CHECK(outcome == reference, method.info->name, " depends on the caller's floating-point mode");
#endif
}

void check_first_error_comes_out(const Method& method) {
  Random random(7);
  const std::unique_ptr<Batch> batch = make_batch(Random(7), method);
  batch->add_copy(random, DType::i32, {77, 1001}, Job::Kind::equal, 2);
  batch->inputs().back()->data()[77 * 1001 * 4 - 1] ^= 1;
  const bool merges = make_batch(Random(7), method)->run({}).error.empty();  // else that error may come first
  for (const int threads : {1, 4}) {
    const std::string error = batch->run({.threads = threads}).error;
    CHECK(!error.empty() && (!merges || contains(error, "differs between input 0 and input 1")), method.info->name,
          error);
  }
}

}  // namespace

int main() {
  bool stops = true;  // the queue is the same for all methods, and a tenth of a second passes between two calls
  for (const auto& [name, method] : registry()) {
    check_threads(method);
    check_two_merges_at_once(method);
    check_float_modes(method);
    check_first_error_comes_out(method);
    if (stops) check_stops(method);
    stops = false;
  }
}
