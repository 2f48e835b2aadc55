// folding.hpp: a registered method's kernel, called on stretches of tensors that lie in memory.
#pragma once
#include <span>
#include <vector>

#include "core/registry.hpp"
#include "ops/execution.hpp"

namespace fk::ops {

inline const Method& method_named(std::string_view name) { return registry().find(name)->second; }

// A fold with its parameters resolved, for outputs of one format.
class Folding {
 public:
  Folding(const Method& method, const Values& values, int count, DType out, const Execution& how)
      : Folding(method.kernels, count, out, how) {
    method.resolve(values, count, out == DType::f64, parameters);
  }
  Folding(const FoldKernels& kernels, int count, DType out, const Execution& how)
      : out_dtype_(out),
        function_(kernels.choose(how.isa, out == DType::f64)),
        scratch_bytes_(fold_scratch_bytes(count)),
        workers_(static_cast<size_t>(how.threads)) {}

  struct Part {
    Tensor base{nullptr, DType::f32};  // from its first element on, as all others
    std::span<const Tensor> models;
    const uint8_t* keep = nullptr;  // of a masked method, which is given one model
    void* out = nullptr;
    int64_t n = 0;
  };
  // Takes the parameters given instead of its own, where they differ from stretch to stretch.
  void fold(const Part& part, int worker, const FoldParameters& with) {
    auto& [scratch, data, dtypes] = workers_[static_cast<size_t>(worker)];
    if (!scratch) scratch = make_scratch(scratch_bytes_);
    data.clear();
    dtypes.clear();
    for (const Tensor& model : part.models) {
      data.push_back(model.data);
      dtypes.push_back(model.dtype);
    }
    function_({part.base.data, part.base.dtype, data.data(), dtypes.data(), static_cast<int>(data.size()), part.out,
               out_dtype_, part.n, with.models.data(), with.shared.data(), scratch.get(),
               part.keep ? &part.keep : nullptr});
  }
  void fold(const Part& part, int worker) { fold(part, worker, parameters); }

  FoldParameters parameters;

 private:
  DType out_dtype_;
  FoldFunction function_;
  int64_t scratch_bytes_;
  struct Worker {
    Scratch scratch;
    std::vector<const void*> data;
    std::vector<DType> dtypes;
  };
  std::vector<Worker> workers_;
};

}  // namespace fk::ops
