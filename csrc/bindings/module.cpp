// module.cpp: the extension module _fusion_kernels. Nothing but fusion_kernels/_native.py imports it.
#include "bindings/bindings.hpp"

PYBIND11_MODULE(_fusion_kernels, module) {
  module.doc() = "Native engine of fusion_kernels.";
  module.attr("__version__") = FK_VERSION;
  fk::bindings::bind_errors(module);
  fk::bindings::bind_methods(module);
  fk::bindings::bind_execute(module);
  fk::bindings::bind_device(module);
  fk::bindings::bind_ops(module);
  fk::bindings::bind_device_ops(module);
}
