// batch.hpp: a merge of made-up tensors by any registered method, with parameters drawn from its own declarations.
#pragma once
#include <deque>

#include "check.hpp"
#include "random.hpp"
#include "stream/pipeline.hpp"

namespace fk::test {

struct Shape {
  int64_t rows, cols;
};
std::string describe(const Method& method, int count, DType out, Shape shape, Pattern pattern);

inline const std::vector<DType> kFloats{DType::f64,  DType::f32,     DType::f16,
                                        DType::bf16, DType::f8_e4m3, DType::f8_e5m2};

// Numbers of models the method takes, up to `most`.
std::vector<int> counts(const Method& method, int most);

// Values for every declared parameter: defaults, presets, bounds, or anything in between.
Values draw_values(Random& random, const Method& method, int count);

// How to run: none of it may show in the bits.
struct How {
  std::string isa = "";
  int threads = 1;
  int64_t tile_elements = 0;
  int64_t memory_limit = 0;
  char filler = 0;  // what memory held before
};

struct Outcome {
  std::string bytes;  // of all results
  std::string error;  // or what the engine said
  WorkspacePlan plan{};
  int64_t tensors_done = 0, bytes_written = 0;
  bool operator==(const Outcome& other) const { return bytes == other.bytes && error == other.error; }
};

class Batch {
 public:
  Batch(const Method& method, Values values);

  // A tensor merged from `count` models of these formats (the first is the result's, the second the base's).
  void add_merge(Random& random, const std::vector<DType>& dtypes, int count, bool with_base, Shape shape,
                 Pattern pattern);
  // A tensor of any format copied, or compared: equal inputs.
  void add_copy(Random& random, DType dtype, Shape shape, Job::Kind kind, int count);

  Outcome run(const How& how, const Observer& observe = {});  // errors that a user could see become the outcome
  MergeCall& call() { return call_; }
  std::vector<Exact*> inputs();  // bases too

 private:
  TensorRef add_buffer(Random& random, DType dtype, int64_t elements, bool is_output);

  MergeCall call_;
  std::deque<Exact> blocks_;
  std::vector<bool> is_output_;  // of each block, which is also the buffer of that number
};

// Whether to give a base: some methods need one, some take none, some do either.
bool draw_base(Random& random, const Method& method);

// The least memory limit that is not refused.
int64_t least_memory(MergeCall call);

}  // namespace fk::test
