// execute.cpp: a merge as Python describes it (see fusion_kernels/jobs.py), run without the GIL.
#include <pybind11/stl.h>

#include <memory>
#include <new>

#include "bindings/bindings.hpp"
#include "bindings/values.hpp"
#include "stream/model_scope.hpp"
#include "stream/pipeline.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

constexpr std::align_val_t kPage{4096};

TensorRef to_ref(const py::handle& given, size_t buffers, const std::string& name) {
  const auto parts = given.cast<py::tuple>();
  const auto code = parts[2].cast<std::string>();
  const auto dtype = dtype_from_code(code);
  if (!dtype) throw InvalidArgument("tensor '" + name + "' has dtype '" + code + "', which is not known");
  const TensorRef ref{parts[0].cast<int>(), parts[1].cast<int64_t>(), *dtype};
  if (ref.buffer < 0 || static_cast<size_t>(ref.buffer) >= buffers || ref.offset < 0)
    throw InvalidArgument("tensor '" + name + "' refers to buffer " + std::to_string(ref.buffer) + " of " +
                          std::to_string(buffers));
  return ref;
}

Job::Kind to_kind(const std::string& kind) {
  if (kind == "merge") return Job::Kind::merge;
  if (kind == "copy") return Job::Kind::copy;
  if (kind == "equal") return Job::Kind::equal;
  throw InvalidArgument("unknown kind of job '" + kind + "'; known are merge, copy and equal");
}

// What the engine relies on and cannot see from the types.
void check(const Job& job, const MergeCall& call) {
  const auto fail = [&](const std::string& what) { throw InvalidArgument("tensor '" + job.name + "' " + what); };
  if (job.rows < 0 || job.cols < 0) fail("has a negative size");
  if (job.inputs.empty()) fail("has no inputs");
  const auto fits = [&](const TensorRef& ref) {
    const Buffer& buffer = call.buffers[static_cast<size_t>(ref.buffer)];
    if (!buffer.is_file() && ref.offset + job.rows * job.cols * size_of(ref.dtype) > buffer.size)
      fail("lies outside its memory buffer");
    if (job.kind == Job::Kind::merge && !info(ref.dtype).floating)
      fail("has dtype " + std::string(info(ref.dtype).code) + ", which is copied or compared but not merged");
    if (job.kind != Job::Kind::merge && ref.dtype != job.out.dtype) fail("is copied between different dtypes");
  };
  fits(job.out);
  if (job.base) fits(*job.base);
  for (const TensorRef& input : job.inputs) fits(input);
  if (job.kind != Job::Kind::merge) return;
  const Info& about = *call.method->info;
  const auto in_words = "(method '" + std::string(about.name) + "')";
  const bool may = about.base == Base::required || about.base == Base::optional;
  if (job.base ? !may : about.base == Base::required) fail("has the wrong number of bases " + in_words);
  if (job.count() < about.min_models || (about.max_models && job.count() > about.max_models))
    fail("has " + std::to_string(job.count()) + " inputs " + in_words);
  if (job.values < 0 || static_cast<size_t>(job.values) >= call.values.size()) fail("has no parameters");
  for (const Param& param : call.method->params) {
    const auto& numbers = call.values[static_cast<size_t>(job.values)].of.at(param.name);
    if (param.per_model && static_cast<int>(numbers.size()) != job.count())
      fail("has " + std::to_string(job.count()) + " inputs but " + std::to_string(numbers.size()) + " values of '" +
           param.name + "'");
  }
}

// A model's tensors are compared with one another: in one compute type, to one density.
void check_model_scope(MergeCall& call) {
  const Job* first = nullptr;
  for (const Job& job : call.jobs) {
    if (job.kind != Job::Kind::merge) continue;
    if (!first) first = &job;
    if (job.values != first->values)
      throw InvalidArgument("scope='model' takes one density for each model, the same for all tensors");
    if (job.count() != first->count()) throw InvalidArgument("scope='model' needs every tensor from every model");
    if (job.f64() != first->f64())
      throw Unsupported("scope='model' compares all tensors in one precision, but '" + job.name + "' is merged to " +
                        std::string(info(job.out.dtype).code) + " and '" + first->name + "' to " +
                        std::string(info(first->out.dtype).code) + "; give one dtype for all");
  }
  ModelScope::order(call.jobs);
}

MergeCall to_call(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                  const py::sequence& buffers, int threads, int64_t memory_limit, int64_t tile_elements,
                  uint64_t seed = 0) {
  MergeCall call;
  call.method = &find_method(method);
  call.threads = threads;
  call.memory_limit = memory_limit;
  call.tile_elements = tile_elements;
  call.seed = seed;
  for (const py::handle& buffer : buffers) {
    if (py::isinstance<py::int_>(buffer)) {
      call.buffers.push_back({buffer.cast<int>()});
    } else {
      const auto [address, size] = buffer.cast<std::pair<uintptr_t, int64_t>>();
      // An empty tensor may have no address at all, and must still not look like a file.
      static char nothing;
      call.buffers.push_back({-1, address ? reinterpret_cast<char*>(address) : &nothing, size});
    }
  }
  for (const py::handle& set : parameter_sets) call.values.push_back(to_values(*call.method, set.cast<py::dict>()));
  call.jobs.reserve(jobs.size());
  for (const py::handle& given : jobs) {
    const auto parts = given.cast<py::tuple>();
    Job job;
    job.kind = to_kind(parts[0].cast<std::string>());
    job.name = parts[1].cast<std::string>();
    job.rows = parts[2].cast<int64_t>();
    job.cols = parts[3].cast<int64_t>();
    job.values = parts[4].is_none() ? -1 : parts[4].cast<int>();
    job.out = to_ref(parts[5], call.buffers.size(), job.name);
    if (!parts[6].is_none()) job.base = to_ref(parts[6], call.buffers.size(), job.name);
    for (const py::handle& input : parts[7]) job.inputs.push_back(to_ref(input, call.buffers.size(), job.name));
    check(job, call);
    call.jobs.push_back(std::move(job));
  }
  if (call.scopes_model()) check_model_scope(call);
  return call;
}

int64_t workspace_bytes(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                        const py::sequence& buffers, int threads, int64_t memory_limit, int64_t tile_elements) {
  return plan_workspace(to_call(method, jobs, parameter_sets, buffers, threads, memory_limit, tile_elements)).total() +
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
                 const py::object& observer) {
  MergeCall call = to_call(method, jobs, parameter_sets, buffers, threads, memory_limit, tile_elements, seed);
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
             "seed"_a = 0, "workspace"_a = py::none(), "observer"_a = py::none());
  module.def("workspace_bytes", &workspace_bytes, "method"_a, "jobs"_a, "parameter_sets"_a, "buffers"_a, py::kw_only(),
             "threads"_a = 0, "memory_limit"_a = 0, "tile_elements"_a = 0);
}

}  // namespace fk::bindings
