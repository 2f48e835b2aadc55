// errors.cpp: the engine's errors as Python's.
#include "bindings/bindings.hpp"
#include "core/error.hpp"

namespace py = pybind11;

namespace fk::bindings {

void bind_errors(py::module_& module) {
  py::register_exception<DeviceError>(module, "DeviceError", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const InvalidArgument& e) {
      py::set_error(PyExc_ValueError, e.what());
    } catch (const Unsupported& e) {
      py::set_error(PyExc_NotImplementedError, e.what());
    } catch (const IoError& e) {  // OSError(errno, text) becomes the right subclass by its number
      PyErr_SetObject(PyExc_OSError, py::make_tuple(e.number, e.what()).ptr());
    }
  });
}

}  // namespace fk::bindings
