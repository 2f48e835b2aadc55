// values.hpp: from Python's parameter dictionaries to the engine's values.
#pragma once
#include <pybind11/pybind11.h>

#include "core/registry.hpp"

namespace fk::bindings {

const Method& find_method(const std::string& name);
Values to_values(const Method& method, const pybind11::dict& given);

}  // namespace fk::bindings
