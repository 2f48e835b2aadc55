// backends.hpp: the GPU backend of this build, or the error that says why there is none.
#pragma once
#include "ops/device_ops.hpp"
#include "stream/device_backend.hpp"

namespace fk::bindings {

const DeviceBackend& gpu_backend();
const ops::DeviceOps& gpu_ops();

}  // namespace fk::bindings
