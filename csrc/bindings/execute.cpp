// execute.cpp: a merge on the processor, run without the GIL.
#include <pybind11/stl.h>

#include <memory>
#include <new>

#include "bindings/bindings.hpp"
#include "bindings/calls.hpp"
#include "stream/pipeline.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

constexpr std::align_val_t kPage{4096};

int64_t workspace_bytes(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                        const py::sequence& buffers, int threads, int64_t memory_limit, int64_t tile_elements,
                        const std::vector<int>& devices, int64_t device_memory_limit) {
  return plan_workspace(to_call(method, jobs, parameter_sets, buffers,
                                {threads, memory_limit, tile_elements, 0, devices, device_memory_limit}))
             .total() +
         static_cast<int64_t>(kPage);
}

struct Workspace {
  char* start;
  bool owned;
  ~Workspace() {
    if (owned) ::operator delete(start, kPage);
  }
};

Workspace get_workspace(const py::object& given, int64_t needed) {
  if (given.is_none()) return {static_cast<char*>(::operator new(static_cast<size_t>(needed), kPage)), true};
  const py::buffer_info buffer = given.cast<py::buffer>().request(true);
  const auto page = static_cast<uintptr_t>(kPage);
  const auto address = reinterpret_cast<uintptr_t>(buffer.ptr);
  const auto start = (address + page - 1) / page * page;
  if (static_cast<int64_t>(address + static_cast<uintptr_t>(buffer.size * buffer.itemsize)) <
      static_cast<int64_t>(start) + needed)
    throw InvalidArgument("workspace has " + std::to_string(buffer.size * buffer.itemsize) + " bytes; expected " +
                          std::to_string(needed + static_cast<int64_t>(page)) + ", see workspace_bytes()");
  return {reinterpret_cast<char*>(start), false};
}

py::dict execute(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                 const py::sequence& buffers, int threads, int64_t memory_limit, const std::string& instruction_set,
                 int64_t tile_elements, bool allow_nonfinite, uint64_t seed, const py::object& workspace,
                 const py::object& observer, const std::vector<int>& devices, int64_t device_memory_limit) {
  MergeCall call = to_call(method, jobs, parameter_sets, buffers,
                           {threads, memory_limit, tile_elements, seed, devices, device_memory_limit});
  call.isa = instruction_set;
  call.allow_nonfinite = allow_nonfinite;
  const int64_t needed = plan_workspace(call).total();
  const Workspace memory = get_workspace(workspace, needed);
  MergeRecord record;
  const auto observe = [&](const MergeRecord& now) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (observer.is_none()) return;
    std::string tensor;
    {
      const std::lock_guard lock(record.mutex);
      tensor = now.tensor;
    }
    observer(py::dict("bytes_read"_a = now.bytes_read.load(), "bytes_written"_a = now.bytes_written.load(),
                      "tensors_done"_a = now.tensors_done.load(), "tensor"_a = tensor));
  };
  const MergeOutcome outcome = [&] {
    const py::gil_scoped_release released;
    return run_merge(call, memory.start, record, observe);
  }();
  return py::dict("seconds"_a = outcome.seconds, "bytes_read"_a = record.bytes_read.load(),
                  "bytes_written"_a = record.bytes_written.load(), "threads"_a = outcome.plan.threads,
                  "instruction_set"_a = kIsaNames[static_cast<int>(outcome.isa)], "workspace_bytes"_a = needed,
                  "tile_elements"_a = outcome.plan.tile_elements, "saturated"_a = record.saturated,
                  "nonfinite_inputs"_a = record.nonfinite_inputs);
}

}  // namespace

void bind_execute(py::module_& module) {
  module.def("execute", &execute, "method"_a, "jobs"_a, "parameter_sets"_a, "buffers"_a, py::kw_only(), "threads"_a = 0,
             "memory_limit"_a = 0, "instruction_set"_a = "", "tile_elements"_a = 0, "allow_nonfinite"_a = false,
             "seed"_a = 0, "workspace"_a = py::none(), "observer"_a = py::none(), "devices"_a = std::vector<int>(),
             "device_memory_limit"_a = 0);
  module.def("workspace_bytes", &workspace_bytes, "method"_a, "jobs"_a, "parameter_sets"_a, "buffers"_a, py::kw_only(),
             "threads"_a = 0, "memory_limit"_a = 0, "tile_elements"_a = 0, "devices"_a = std::vector<int>(),
             "device_memory_limit"_a = 0);
}

}  // namespace fk::bindings
