// test_methods.cpp: every registered method, in memory that ends where its tensors end, has one answer everywhere.
#include <algorithm>

#include "batch.hpp"

using namespace fk;
using namespace fk::test;

namespace {

// Around every width of lanes, block of a kernel, tile, and the size from which select samples.
const std::vector<Shape> kSmall{{1, 0}, {0, 3},  {1, 1},  {2, 1},   {1, 3},  {5, 1},  {1, 7},
                                {1, 8}, {3, 3},  {1, 15}, {1, 16},  {1, 17}, {1, 31}, {1, 33},
                                {7, 9}, {1, 64}, {1, 65}, {1, 127}, {11, 23}};
const std::vector<Shape> kMiddling{{1, 511}, {1, 512}, {1, 513}, {9, 113}, {1, 4095}, {1, 4096}, {1, 4097}, {3, 2731}};
const std::vector<Shape> kLarge{{1, 16384}, {1, 16385}, {129, 127}, {2, 12289}, {1, 33333}};
constexpr int kMostModels = 9;

std::vector<DType> draw_dtypes(Random& random, DType out) {
  std::vector<DType> dtypes{out};
  const bool mixed = random.one_in(4);
  for (int i = 0; i <= kMostModels; ++i) dtypes.push_back(mixed ? random.pick(kFloats) : out);
  return dtypes;
}

// Runs one made-up merge in every way; returns whether it was one that succeeds.
bool agree(Random& random, const Method& method, int count, DType out, Shape shape, Pattern pattern,
           const std::vector<How>& ways) {
  Batch batch(method, draw_values(random, method, count));
  batch.call().allow_nonfinite = !random.one_in(4);
  batch.add_merge(random, draw_dtypes(random, out), count, draw_base(random, method), shape, pattern);
  const Outcome reference = batch.run({.isa = "scalar"});
  for (How how : ways) {
    for (const std::string& isa : supported_isas()) {
      how.isa = isa;
      how.filler = static_cast<char>(random.next());
      const Outcome outcome = batch.run(how);
      CHECK(outcome == reference, describe(method, count, out, shape, pattern), ", ", isa, " with ", how.threads,
            " threads, tiles of ", how.tile_elements, "; scalar: ", reference.error, "; here: ", outcome.error);
    }
  }
  return reference.error.empty();
}

void all_sizes(Random& random, const Method& method) {
  for (const int count : counts(method, kMostModels)) {
    int succeeded = 0;
    for (const DType out : kFloats) {
      std::vector<Shape> shapes;
      for (int i = 0; i < 10; ++i) shapes.push_back(random.pick(kSmall));
      shapes.push_back(random.pick(kMiddling));
      if (random.one_in(3)) shapes.push_back(random.pick(kLarge));
      for (const Shape shape : shapes)
        succeeded += agree(random, method, count, out, shape, static_cast<Pattern>(random.below(5)),
                           {{.tile_elements = random.one_in(2) ? 4096 : 0}});
    }
    CHECK(succeeded > 0, method.info->name, " of ", count, " models: no parameters are accepted");
  }
}

// Of the formats of 8 and 16 bits.
void every_code(Random& random, const Method& method) {
  for (const DType out : kFloats)
    agree(random, method, random.pick(counts(method, 3)), out, {1, 65537}, Pattern::bits, {{}});
}

void any_threads_tiles_and_memory(Random& random, const Method& method) {
  for (const DType out : {DType::f32, DType::bf16, DType::f64}) {
    const Shape shape{(1 << 20) / size_of(out) / 1001 + 2, 1001};  // enough bytes that threads are started
    const Pattern pattern = random.one_in(2) ? Pattern::noise : Pattern::few;
    const int count = random.pick(counts(method, 4));
    Batch batch(method, draw_values(random, method, count));
    batch.call().allow_nonfinite = true;
    batch.add_merge(random, draw_dtypes(random, out), count, draw_base(random, method), shape, pattern);
    const Outcome reference = batch.run({});
    batch.call().threads = 2;
    const int64_t least = least_memory(batch.call());
    for (const How& how : std::vector<How>{{.threads = 2, .filler = 1},
                                           {.threads = 5, .tile_elements = 4096, .filler = 2},
                                           {.threads = 3, .tile_elements = 1 << 15, .filler = -1},
                                           {.threads = 2, .memory_limit = least, .filler = 3}}) {
      const Outcome outcome = batch.run(how);
      const std::string about = text(describe(method, count, out, shape, pattern), ", ", how.threads,
                                     " threads, tiles of ", how.tile_elements, ", memory ", how.memory_limit);
      CHECK(outcome == reference, about, "; one thread: ", reference.error, "; here: ", outcome.error);
      CHECK(how.memory_limit == 0 || outcome.plan.total() + 4096 <= how.memory_limit, about);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(registry().size() >= 5, "the methods are not linked in");
  for (const std::string& isa : supported_isas()) std::printf("instruction set %s\n", isa.c_str());
  for (const auto& [name, method] : registry()) {
    Random random(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1);
    all_sizes(random, method);
    every_code(random, method);
    any_threads_tiles_and_memory(random, method);
    std::printf("%s\n", std::string(name).c_str());
  }
}
