// tensors.hpp: tensors as Python gives them to single operations, by address and dtype, as the engine's.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ops/execution.hpp"

namespace fk::bindings {

using Address = uintptr_t;
using Given = std::pair<Address, std::string>;  // where it is, its dtype's code

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

DType to_dtype(const std::string& code);  // one that is computed with; throws InvalidArgument
ops::Tensor to_tensor(const Given& given);
std::vector<ops::Tensor> to_tensors(const std::vector<Given>& given);
ops::Tensor to_base(const std::optional<Given>& base);  // without one: no data

}  // namespace fk::bindings
