// calls.cpp: checks what the engine relies on and cannot see from the types.
#include "bindings/calls.hpp"

#include <pybind11/stl.h>

#include "bindings/values.hpp"
#include "stream/device_memory.hpp"
#include "stream/model_scope.hpp"

namespace py = pybind11;

namespace fk::bindings {
namespace {

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

}  // namespace

MergeCall to_call(const std::string& method, const py::sequence& jobs, const py::sequence& parameter_sets,
                  const py::sequence& buffers, const CallOptions& options) {
  MergeCall call;
  call.method = &find_method(method);
  call.threads = options.threads;
  call.memory_limit = options.memory_limit;
  call.tile_elements = options.tile_elements;
  call.seed = options.seed;
  call.devices = options.devices;
  call.device_memory_limit = options.device_memory_limit;
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
  settle_device_memory(call);
  return call;
}

}  // namespace fk::bindings
