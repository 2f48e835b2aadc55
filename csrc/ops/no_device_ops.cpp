// no_device_ops.cpp: the answer of a build without a GPU backend.
#include "ops/device_ops.hpp"

namespace fk::ops {

const DeviceOps* device_ops() { return nullptr; }

}  // namespace fk::ops
