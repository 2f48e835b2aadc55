// methods.cpp: every method's description as plain Python values, and parameter values back.
#include "bindings/values.hpp"

#include <pybind11/stl.h>

#include <cmath>

#include "bindings/bindings.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fk::bindings {
namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('|'), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

py::object as_python(const Param& param, double value) {
  if (std::isnan(value)) return py::none();
  if (param.type == Type::boolean) return py::bool_(value != 0);
  if (param.type == Type::choice) return py::str(split(param.choices).at(static_cast<size_t>(value)));
  if (param.type == Type::integer) return py::int_(static_cast<int64_t>(value));
  return py::float_(value);
}

py::dict describe(const Param& param) {
  static constexpr const char* kTypes[] = {"number", "integer", "boolean", "choice"};
  py::dict presets;
  if (!std::isnan(param.paper)) presets["paper"] = as_python(param, param.paper);
  if (!std::isnan(param.fusionbench)) presets["fusionbench"] = as_python(param, param.fusionbench);
  const auto bound = [](double value) { return std::isinf(value) ? py::object(py::none()) : py::float_(value); };
  return py::dict("name"_a = param.name, "doc"_a = param.doc, "per_model"_a = param.per_model,
                  "type"_a = kTypes[static_cast<int>(param.type)], "choices"_a = split(param.choices),
                  "required"_a = std::isnan(param.fallback), "default"_a = as_python(param, param.fallback),
                  "presets"_a = presets, "minimum"_a = bound(param.minimum), "maximum"_a = bound(param.maximum));
}

py::dict describe(const Method& method) {
  static constexpr const char* kBase[] = {"ignored", "required", "member", "optional"};
  const Info& about = *method.info;
  py::list parameters;
  for (const Param& param : method.params) parameters.append(describe(param));
  py::dict paper;
  if (*about.paper.title)
    paper = py::dict("title"_a = about.paper.title, "authors"_a = about.paper.authors, "year"_a = about.paper.year,
                     "url"_a = about.paper.url);
  return py::dict("name"_a = about.name, "kind"_a = method.is_gram ? "gram" : "fold", "summary"_a = about.summary,
                  "formula"_a = about.formula, "paper"_a = paper, "base"_a = kBase[static_cast<int>(about.base)],
                  "min_models"_a = about.min_models,
                  "max_models"_a = about.max_models ? py::object(py::int_(about.max_models)) : py::none(),
                  "parameters"_a = parameters, "ignored_keys"_a = split(about.ignored_keys));
}

double as_double(const Param& param, const py::handle& value) {
  if (param.type != Type::choice) return value.cast<double>();
  const std::string text = value.cast<std::string>();
  const auto choices = split(param.choices);
  for (size_t i = 0; i < choices.size(); ++i)
    if (choices[i] == text) return static_cast<double>(i);
  throw InvalidArgument("parameter '" + std::string(param.name) + "' is '" + text + "'; expected one of " +
                        param.choices);
}

}  // namespace

const Method& find_method(const std::string& name) {
  const auto found = registry().find(name);
  if (found == registry().end()) throw InvalidArgument("unknown method '" + name + "'");
  return found->second;
}

Values to_values(const Method& method, const py::dict& given) {
  Values values;
  for (const Param& param : method.params) {
    if (!given.contains(param.name))
      throw InvalidArgument("method '" + std::string(method.info->name) + "' needs parameter '" + param.name + "'");
    const py::object value = given[param.name];
    std::vector<double>& numbers = values.of[param.name];
    if (param.per_model)
      for (const py::handle& one : value) numbers.push_back(as_double(param, one));
    else
      numbers.push_back(as_double(param, value));
  }
  return values;
}

void bind_methods(py::module_& module) {
  module.def("methods", [] {
    py::list all;
    for (const auto& [name, method] : registry()) all.append(describe(method));
    return all;
  });
  // What is wrong with parameters that are right one by one: (model's number or -1, text), or None.
  module.def("problem", [](const std::string& name, const py::dict& given, int models) -> py::object {
    const Method& method = find_method(name);
    if (!method.problem) return py::none();
    const Values values = to_values(method, given);
    for (int k = -1; k < models; ++k)
      if (const std::string text = method.problem(values, k); !text.empty()) return py::make_tuple(k, text);
    return py::none();
  });
  module.def("instruction_sets", &supported_isas);
}

}  // namespace fk::bindings
