// bindings.hpp: the parts of the Python module. They convert, and compute nothing.
#pragma once
#include <pybind11/pybind11.h>

namespace fk::bindings {

void bind_errors(pybind11::module_& module);
void bind_methods(pybind11::module_& module);
void bind_execute(pybind11::module_& module);
void bind_device(pybind11::module_& module);
void bind_ops(pybind11::module_& module);
void bind_device_ops(pybind11::module_& module);

}  // namespace fk::bindings
