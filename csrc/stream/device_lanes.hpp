// device_lanes.hpp: lanes of GPUs for the threads of a merge, and their buffers made fit for copies.
#pragma once
#include "core/error.hpp"
#include "stream/device_backend.hpp"
#include "stream/workspace.hpp"

namespace fk {

class DeviceLanes {
 public:
  DeviceLanes(const MergeCall& call, const WorkspacePlan& plan, char* workspace) {
    if (call.devices.empty()) return;
    backend_ = device_backend();
    if (!backend_) throw DeviceError("this build of fusion_kernels has no GPU kernels");
    depth_ = plan.depth;
    for (int i = 0; i < plan.threads * depth_; ++i)
      lanes_.push_back(backend_->open_lane(call.devices[static_cast<size_t>(i / depth_) % call.devices.size()]));
    backend_->pin(workspace, plan.total());
    pinned_ = workspace;
  }
  ~DeviceLanes() {
    lanes_.clear();  // first: they wait for their copies
    if (pinned_) backend_->unpin(pinned_);
  }
  DeviceLanes(const DeviceLanes&) = delete;
  DeviceLanes& operator=(const DeviceLanes&) = delete;

  const DeviceBackend* backend() const { return backend_; }
  // For one of the tiles that a thread has under way.
  DeviceLane* of_thread(int thread, int tile) const {
    return lanes_.empty() ? nullptr : lanes_[static_cast<size_t>(thread * depth_ + tile)].get();
  }

 private:
  const DeviceBackend* backend_ = nullptr;
  int depth_ = 1;
  std::vector<std::unique_ptr<DeviceLane>> lanes_;
  char* pinned_ = nullptr;
};

}  // namespace fk
