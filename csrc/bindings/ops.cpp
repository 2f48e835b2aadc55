// ops.cpp: single operations on memory Python describes by address and dtype; it has made the checks.
#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "bindings/tensors.hpp"
#include "ops/election.hpp"
#include "ops/products.hpp"
#include "ops/sparsify.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

using ops::Execution;
using ops::Rows;
using ops::Tensor;

Execution to_execution(int threads, const std::string& instruction_set) {
  return {choose_isa(instruction_set), std::max(1, threads)};
}

// Thresholds are the compute type's numbers, double for F64 tensors.
template <class T>
void write_cuts(const std::vector<Cut>& cuts, T* thresholds, int64_t* last) {
  for (size_t row = 0; row < cuts.size(); ++row) {
    thresholds[row] = static_cast<T>(ops::threshold_of(cuts[row], sizeof(T) == 8));
    last[row] = cuts[row].last;
  }
}

template <class T>
std::vector<Cut> read_cuts(int64_t rows, const T* thresholds, const int64_t* last) {
  std::vector<Cut> cuts;
  for (int64_t row = 0; row < rows; ++row)
    cuts.push_back(ops::cut_at(static_cast<double>(thresholds[row]), last[row], sizeof(T) == 8));
  return cuts;
}

void find_cuts(const Given& tensor, int64_t rows, int64_t length, double density, Address thresholds, Address last,
               int threads, const std::string& isa) {
  const Tensor given = to_tensor(tensor);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  const std::vector<Cut> cuts = ops::find_cuts(given, {rows, length}, density, how);
  given.dtype == DType::f64 ? write_cuts(cuts, pointer<double>(thresholds), pointer<int64_t>(last))
                            : write_cuts(cuts, pointer<float>(thresholds), pointer<int64_t>(last));
}

void keep_above(const Given& tensor, int64_t rows, int64_t length, Address thresholds, Address last, Address out,
                int threads, const std::string& isa) {
  const Tensor given = to_tensor(tensor);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  const std::vector<Cut> cuts = given.dtype == DType::f64
                                    ? read_cuts(rows, pointer<const double>(thresholds), pointer<const int64_t>(last))
                                    : read_cuts(rows, pointer<const float>(thresholds), pointer<const int64_t>(last));
  ops::keep_above(given, {rows, length}, cuts, pointer<void>(out), how);
}

void keep_at_random(const Given& tensor, int64_t elements, double density, uint64_t seed, uint64_t model,
                    const std::string& name, bool rescale, Address out, int threads, const std::string& isa) {
  const Tensor given = to_tensor(tensor);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  ops::keep_at_random(given, elements, {density, seed, model, name, rescale}, pointer<void>(out), how);
}

void elect_sign(const std::vector<Given>& models, const std::vector<double>& weights, int64_t elements, bool f64,
                bool by_count, Address signs, int threads, const std::string& isa) {
  const std::vector<Tensor> given = to_tensors(models);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  (by_count ? ops::elect_by_count : ops::elect_by_sum)(given, weights, elements, f64, pointer<int8_t>(signs), how);
}

void disjoint_mean(const std::vector<Given>& models, const std::vector<double>& weights, Address signs,
                   int64_t elements, const Given& out, int threads, const std::string& isa) {
  const std::vector<Tensor> given = to_tensors(models);
  const DType out_dtype = to_dtype(out.second);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  ops::disjoint_mean(given, weights, pointer<const int8_t>(signs), elements, pointer<void>(out.first), out_dtype, how);
}

void gram(const std::vector<Given>& models, const std::optional<Given>& base, int64_t elements, bool f64, Address out,
          int threads, const std::string& isa) {
  const std::vector<Tensor> given = to_tensors(models);
  const Tensor from = to_base(base);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  ops::gram_matrix({given, from, f64}, elements, pointer<double>(out), how);
}

void dot_products(const Given& left, const std::vector<Given>& models, const std::optional<Given>& base,
                  int64_t elements, bool f64, Address out, int threads, const std::string& isa) {
  const std::vector<Tensor> given = to_tensors(models);
  const Tensor from = to_base(base), with = to_tensor(left);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  ops::dot_products(with, {given, from, f64}, elements, pointer<double>(out), how);
}

void norms(const std::vector<Given>& models, const std::optional<Given>& base, int64_t rows, int64_t length, bool f64,
           int p, Address out, int threads, const std::string& isa) {
  const std::vector<Tensor> given = to_tensors(models);
  const Tensor from = to_base(base);
  const Execution how = to_execution(threads, isa);
  const py::gil_scoped_release released;
  ops::norms({given, from, f64}, {rows, length}, p, pointer<double>(out), how);
}

}  // namespace

void bind_ops(py::module_& module) {
  py::module_ ops = module.def_submodule("ops");
  const auto threads = "threads"_a = 1;
  const auto isa = "instruction_set"_a = "";
  ops.def("find_cuts", &find_cuts, "tensor"_a, "rows"_a, "length"_a, "density"_a, "thresholds"_a, "last"_a,
          py::kw_only(), threads, isa);
  ops.def("keep_above", &keep_above, "tensor"_a, "rows"_a, "length"_a, "thresholds"_a, "last"_a, "out"_a, py::kw_only(),
          threads, isa);
  ops.def("keep_at_random", &keep_at_random, "tensor"_a, "elements"_a, "density"_a, "seed"_a, "model"_a, "name"_a,
          "rescale"_a, "out"_a, py::kw_only(), threads, isa);
  ops.def("elect_sign", &elect_sign, "models"_a, "weights"_a, "elements"_a, "f64"_a, "by_count"_a, "signs"_a,
          py::kw_only(), threads, isa);
  ops.def("disjoint_mean", &disjoint_mean, "models"_a, "weights"_a, "signs"_a, "elements"_a, "out"_a, py::kw_only(),
          threads, isa);
  ops.def("gram", &gram, "models"_a, "base"_a, "elements"_a, "f64"_a, "out"_a, py::kw_only(), threads, isa);
  ops.def("dot_products", &dot_products, "left"_a, "models"_a, "base"_a, "elements"_a, "f64"_a, "out"_a, py::kw_only(),
          threads, isa);
  ops.def("norms", &norms, "models"_a, "base"_a, "rows"_a, "length"_a, "f64"_a, "p"_a, "out"_a, py::kw_only(), threads,
          isa);
}

}  // namespace fk::bindings
