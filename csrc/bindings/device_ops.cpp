// device_ops.cpp: single operations on a GPU, enqueued without the GIL; the arguments are those of ops.cpp.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <variant>

#include "bindings/backends.hpp"
#include "bindings/bindings.hpp"
#include "bindings/tensors.hpp"
#include "ops/device_ops.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

using ops::DeviceExecution;
using Allocate = std::function<Address(int64_t)>;
using GivenWeights = std::variant<std::vector<double>, Address>;  // numbers, or where they will be, in double

DeviceExecution to_execution(int device, Address stream, const Allocate& allocate) {
  return {device, stream, [&allocate](int64_t bytes) {
            const py::gil_scoped_acquire held;
            return pointer<char>(allocate(bytes));
          }};
}

ops::Weights to_weights(const GivenWeights& given) {
  if (const auto* numbers = std::get_if<std::vector<double>>(&given)) return {*numbers};
  return {{}, pointer<const double>(std::get<Address>(given))};
}

void find_cuts(const Given& tensor, int64_t rows, int64_t length, double density, Address thresholds, Address last,
               int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  gpu_ops().find_cuts(to_tensor(tensor), {rows, length}, density, pointer<void>(thresholds), pointer<int64_t>(last),
                      how);
}

void keep_above(const Given& tensor, int64_t rows, int64_t length, Address thresholds, Address last, Address out,
                int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  gpu_ops().keep_above(to_tensor(tensor), {rows, length}, pointer<const void>(thresholds), pointer<const int64_t>(last),
                       pointer<void>(out), how);
}

void keep_at_random(const Given& tensor, int64_t elements, double density, uint64_t seed, uint64_t model,
                    const std::string& name, bool rescale, Address out, int device, Address stream,
                    const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  gpu_ops().keep_at_random(to_tensor(tensor), elements, {density, seed, model, name, rescale}, pointer<void>(out), how);
}

void elect_sign(const std::vector<Given>& models, const GivenWeights& weights, int64_t elements, bool f64,
                bool by_count, Address signs, int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  const auto elect = by_count ? gpu_ops().elect_by_count : gpu_ops().elect_by_sum;
  elect(to_tensors(models), to_weights(weights), elements, f64, pointer<int8_t>(signs), how);
}

void disjoint_mean(const std::vector<Given>& models, const GivenWeights& weights, Address signs, int64_t elements,
                   const Given& out, int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  gpu_ops().disjoint_mean(to_tensors(models), to_weights(weights), pointer<const int8_t>(signs), elements,
                          pointer<void>(out.first), to_dtype(out.second), how);
}

void linear_combination(const std::vector<Given>& models, const std::optional<Given>& base, const GivenWeights& weights,
                        int64_t elements, const Given& out, int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  gpu_ops().linear_combination(to_tensors(models), to_base(base), to_weights(weights), elements,
                               pointer<void>(out.first), to_dtype(out.second), how);
}

void gram(const std::vector<Given>& models, const std::optional<Given>& base, int64_t elements, bool f64, Address out,
          int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  const std::vector<ops::Tensor> given = to_tensors(models);
  gpu_ops().gram_matrix({given, to_base(base), f64}, elements, pointer<double>(out), how);
}

void dot_products(const Given& left, const std::vector<Given>& models, const std::optional<Given>& base,
                  int64_t elements, bool f64, Address out, int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  const std::vector<ops::Tensor> given = to_tensors(models);
  gpu_ops().dot_products(to_tensor(left), {given, to_base(base), f64}, elements, pointer<double>(out), how);
}

void norms(const std::vector<Given>& models, const std::optional<Given>& base, int64_t rows, int64_t length, bool f64,
           int p, Address out, int device, Address stream, const Allocate& allocate) {
  const DeviceExecution how = to_execution(device, stream, allocate);
  const py::gil_scoped_release released;
  const std::vector<ops::Tensor> given = to_tensors(models);
  gpu_ops().norms({given, to_base(base), f64}, {rows, length}, p, pointer<double>(out), how);
}

}  // namespace

void bind_device_ops(py::module_& module) {
  py::module_ ops = module.def_submodule("device_ops");
  // allocate(bytes) gives the address of device memory that stays as it is until the stream has done all.
  const auto def = [&](const char* name, auto function, const auto&... names) {
    ops.def(name, function, names..., py::kw_only(), "device"_a, "stream"_a, "allocate"_a);
  };
  def("find_cuts", &find_cuts, "tensor"_a, "rows"_a, "length"_a, "density"_a, "thresholds"_a, "last"_a);
  def("keep_above", &keep_above, "tensor"_a, "rows"_a, "length"_a, "thresholds"_a, "last"_a, "out"_a);
  def("keep_at_random", &keep_at_random, "tensor"_a, "elements"_a, "density"_a, "seed"_a, "model"_a, "name"_a,
      "rescale"_a, "out"_a);
  def("elect_sign", &elect_sign, "models"_a, "weights"_a, "elements"_a, "f64"_a, "by_count"_a, "signs"_a);
  def("disjoint_mean", &disjoint_mean, "models"_a, "weights"_a, "signs"_a, "elements"_a, "out"_a);
  def("linear_combination", &linear_combination, "models"_a, "base"_a, "weights"_a, "elements"_a, "out"_a);
  def("gram", &gram, "models"_a, "base"_a, "elements"_a, "f64"_a, "out"_a);
  def("dot_products", &dot_products, "left"_a, "models"_a, "base"_a, "elements"_a, "f64"_a, "out"_a);
  def("norms", &norms, "models"_a, "base"_a, "rows"_a, "length"_a, "f64"_a, "p"_a, "out"_a);
}

}  // namespace fk::bindings
