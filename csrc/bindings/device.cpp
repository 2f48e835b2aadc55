// device.cpp: a merge of tensors in a GPU's memory, enqueued without the GIL.
#include <pybind11/stl.h>

#include "bindings/backends.hpp"
#include "bindings/bindings.hpp"
#include "bindings/calls.hpp"
#include "core/error.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

template <class Backend>
const Backend& found(const Backend* backend) {
  if (!backend)
    throw DeviceError("this build of fusion_kernels has no GPU kernels: it was made without nvcc, or with FK_CUDA=OFF");
  return *backend;
}

}  // namespace

const DeviceBackend& gpu_backend() { return found(device_backend()); }
const ops::DeviceOps& gpu_ops() { return found(ops::device_ops()); }

namespace {

// Bytes in a device's memory.
class DeviceBytes {
 public:
  DeviceBytes(int device, int64_t size) : device_(device), size_(size), memory_(gpu_backend().allocate(device, size)) {}
  ~DeviceBytes() {
    try {
      gpu_backend().release(device_, memory_);
    } catch (const DeviceError&) {  // the device is lost, and its memory with it
    }
  }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;

  uintptr_t address() const { return reinterpret_cast<uintptr_t>(memory_); }
  void write(const py::buffer& from) {
    const py::buffer_info info = from.request();
    check(info);
    gpu_backend().copy_in(device_, memory_, static_cast<const char*>(info.ptr), size_);
  }
  void read(const py::buffer& to) const {
    const py::buffer_info info = to.request(true);
    check(info);
    gpu_backend().copy_out(device_, static_cast<char*>(info.ptr), memory_, size_);
  }

 private:
  void check(const py::buffer_info& info) const {
    if (info.size * info.itemsize != size_)
      throw InvalidArgument("the buffer has " + std::to_string(info.size * info.itemsize) + " bytes, the device's " +
                            std::to_string(size_));
  }
  int device_;
  int64_t size_;
  char* memory_;
};

std::vector<ResidentTensor> resident(const MergeCall& call) {
  const auto at = [&](const TensorRef& ref) {
    const Buffer& buffer = call.buffers[static_cast<size_t>(ref.buffer)];
    if (buffer.is_file()) throw InvalidArgument("a merge on a GPU takes memory, not files");
    return buffer.address + ref.offset;
  };
  std::vector<ResidentTensor> tensors;
  for (const Job& job : call.jobs) {
    ResidentTensor tensor{&job, job.base ? at(*job.base) : nullptr, {}, at(job.out)};
    for (const TensorRef& input : job.inputs) tensor.inputs.push_back(at(input));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

int64_t device_workspace_bytes(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                               const py::sequence& buffers) {
  const MergeCall call = to_call(method, jobs, parameter_sets, buffers, {});
  return gpu_backend().workspace_bytes(call, resident(call));
}

void merge_on_device(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                     const py::sequence& buffers, int device, uintptr_t stream, uintptr_t workspace, uint64_t seed) {
  const MergeCall call = to_call(method, jobs, parameter_sets, buffers, {.seed = seed});
  const std::vector<ResidentTensor> tensors = resident(call);
  const py::gil_scoped_release released;
  gpu_backend().merge(call, tensors, device, stream, reinterpret_cast<char*>(workspace));
}

}  // namespace

void bind_device(py::module_& module) {
  module.def("device_kind", []() -> py::object {
    return device_backend() ? py::object(py::str(device_backend()->kind)) : py::object(py::none());
  });
  module.def("gpus", [] {
    py::list found;
    for (const DeviceInfo& device : gpu_backend().devices()) found.append(py::make_tuple(device.name, device.memory));
    return found;
  });
  py::class_<DeviceBytes>(module, "DeviceBytes")
      .def(py::init<int, int64_t>(), "device"_a, "size"_a)
      .def_property_readonly("address", &DeviceBytes::address)
      .def("write", &DeviceBytes::write)
      .def("read", &DeviceBytes::read);
  module.def("device_workspace_bytes", &device_workspace_bytes, "method"_a, "jobs"_a, "parameter_sets"_a, "buffers"_a);
  // Buffers and workspace are addresses in the device's memory; whoever owns them keeps them until the stream is done.
  module.def("merge_on_device", &merge_on_device, "method"_a, "jobs"_a, "parameter_sets"_a, "buffers"_a, py::kw_only(),
             "device"_a, "stream"_a, "workspace"_a, "seed"_a = 0);
}

}  // namespace fk::bindings
