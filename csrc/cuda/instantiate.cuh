// instantiate.cuh: one method's kernels, entered in the registry. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "cuda/fold.cuh"

namespace fk::cuda {

template <class M>
bool register_fold() {
  if constexpr (is_gram_method<M>)
    return false;  // they share the weighted sum, see kernels.cu
  else
    return fold_kernels().emplace(M::info.name, &launch_fold<M>).second;
}

}  // namespace fk::cuda

#define FK_METHOD(M) [[maybe_unused]] static const bool fk_registered_##M = fk::cuda::register_fold<fk::M>()
