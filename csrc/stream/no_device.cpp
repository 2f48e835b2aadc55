// no_device.cpp: the answer of a build without a GPU backend.
#include "stream/device_backend.hpp"

namespace fk {

const DeviceBackend* device_backend() { return nullptr; }

}  // namespace fk
