// tensors.cpp: checks the dtypes of tensors that single operations are given.
#include "bindings/tensors.hpp"

#include "core/error.hpp"

namespace fk::bindings {

DType to_dtype(const std::string& code) {
  const auto dtype = dtype_from_code(code);
  if (!dtype || !info(*dtype).floating)
    throw InvalidArgument("dtype '" + code + "' is not one the engine computes with");
  return *dtype;
}

ops::Tensor to_tensor(const Given& given) { return {pointer<const void>(given.first), to_dtype(given.second)}; }

std::vector<ops::Tensor> to_tensors(const std::vector<Given>& given) {
  std::vector<ops::Tensor> tensors;
  for (const Given& one : given) tensors.push_back(to_tensor(one));
  return tensors;
}

ops::Tensor to_base(const std::optional<Given>& base) {
  return base ? to_tensor(*base) : ops::Tensor{nullptr, DType::f32};
}

}  // namespace fk::bindings
