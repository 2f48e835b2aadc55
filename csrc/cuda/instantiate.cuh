// instantiate.cuh: one method's kernels. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "cuda/fold.cuh"

#define FK_METHOD(M) template void fk::cuda::fold<fk::FoldOf<fk::M>>(const fk::cuda::FoldArguments&, cudaStream_t)
