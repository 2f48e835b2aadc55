// job.hpp: one output tensor to be made, and everything a merge is asked to do.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/registry.hpp"
#include "stream/buffer.hpp"

namespace fk {

struct TensorRef {
  int buffer;
  int64_t offset;
  DType dtype;
};

struct Job {
  enum class Kind { merge, copy, equal };  // equal: a copy, once all inputs have proved to be the same bytes
  Kind kind;
  std::string name;
  int64_t rows, cols;
  int values;  // index into MergeCall::values
  TensorRef out;
  std::optional<TensorRef> base;
  std::vector<TensorRef> inputs;

  bool f64() const { return out.dtype == DType::f64; }
  int count() const { return static_cast<int>(inputs.size()); }
  int64_t bytes() const { return rows * cols * size_of(out.dtype); }
  // What tiles are cut from: elements, or the bytes of a tensor that is only copied.
  int64_t units() const { return kind == Kind::merge ? rows * cols : bytes(); }
};

struct MergeCall {
  const Method* method;
  std::vector<Job> jobs;
  std::vector<Values> values;
  std::vector<Buffer> buffers;
  int threads = 0;            // 0: every core this process may run on
  int64_t memory_limit = 0;   // bytes; 0: none
  std::string isa;            // empty: the best there is
  int64_t tile_elements = 0;  // 0: a compromise of fewer reads and warmer caches
  bool allow_nonfinite = false;
};

}  // namespace fk
