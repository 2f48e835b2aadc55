// calls.hpp: from Python's description of a merge (see fusion_kernels/jobs.py) to the engine's.
#pragma once
#include <pybind11/pybind11.h>

#include <vector>

#include "stream/job.hpp"

namespace fk::bindings {

struct CallOptions {
  int threads = 0;
  int64_t memory_limit = 0, tile_elements = 0;
  uint64_t seed = 0;
  std::vector<int> devices = {};
  int64_t device_memory_limit = 0;
};

MergeCall to_call(const std::string& method, const pybind11::sequence& jobs, const pybind11::sequence& parameter_sets,
                  const pybind11::sequence& buffers, const CallOptions& options);

}  // namespace fk::bindings
