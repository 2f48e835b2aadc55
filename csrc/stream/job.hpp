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
  int64_t cut_offset = 0;  // scope model: how many elements of the model come before this tensor's

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
  std::vector<int> devices;         // GPUs that share the tensors; empty: the processor merges
  int threads = 0;                  // 0: every core this process may run on
  int64_t memory_limit = 0;         // bytes; 0: none
  int64_t device_memory_limit = 0;  // bytes of each GPU; 0: see settle_device_memory()
  std::string isa;                  // empty: the best there is
  int64_t tile_elements = 0;        // 0: a compromise of fewer reads and warmer caches
  bool allow_nonfinite = false;
  uint64_t seed = 0;  // of what is drawn at random

  const Values& values_of(const Job& job) const { return values[static_cast<size_t>(job.values)]; }
  // What a gram method takes as one vector. A tensor of one row has no other.
  Axis axis(const Job& job) const {
    if (!method->axis || job.rows * job.cols == 0) return Axis::tensor;
    const Axis axis = method->axis(values_of(job));
    return job.rows == 1 ? Axis::tensor : axis;
  }
  // Whether whole rows must be in memory at once.
  bool needs_rows(const Job& job) const {
    return job.kind == Job::Kind::merge && (method->sparsifier == Sparsifier::ranked || axis(job) != Axis::tensor);
  }
  bool scopes_model() const {
    if (!trims(method->sparsifier) || !method->has("scope")) return false;
    for (const Values& one : values)
      if (one.flag("scope")) return true;
    return false;
  }
  bool rescales(const Job& job) const { return method->has("rescale") && values_of(job).flag("rescale"); }
  // Whether the L1 norm is asked for: there is something to restore.
  bool measures_mass(const Job& job) const {
    if (!rescales(job) || values_of(job).flag("rescale_by")) return false;
    for (int k = 0; k < job.count(); ++k)
      if (const double density = values_of(job).per_model("density", k); density > 0 && density < 1) return true;
    return false;
  }
};

}  // namespace fk
