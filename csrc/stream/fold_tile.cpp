// fold_tile.cpp: one call of a kernel for each stretch of a tile.
#include "stream/fold_tile.hpp"

namespace fk {

FoldTile::FoldTile(const MergeContext& context, const Tiles& tiles, int64_t tile, TileBuffers& buffers,
                   const uint8_t* const* keep, FoldFunction function)
    : context_(context), tiles_(tiles), range_(tiles.range(tile)) {
  const Job& job = tiles.job();
  for (int k = 0; k < job.count(); ++k) {
    models_.push_back(tiles.input(k, tile, buffers));
    dtypes_.push_back(job.inputs[static_cast<size_t>(k)].dtype);
  }
  out_ = tiles.output(tile, buffers);
  const Method& method = *context.call.method;
  const FoldKernels& kernels = method.is_gram ? gram_kernels(job.base.has_value()) : method.kernels;
  function_ = function ? function : kernels.choose(context.isa, job.f64());
  call_ = {tiles.base(tile, buffers),
           job.base ? job.base->dtype : job.out.dtype,
           models_.data(),
           dtypes_.data(),
           job.count(),
           out_,
           job.out.dtype,
           range_.n,
           nullptr,
           nullptr,
           buffers.scratch,
           keep,
           tiles.streamed()};
}

void FoldTile::fold(int64_t begin, int64_t end, const FoldParameters& parameters) {
  FoldCall part = call_;
  part.n = end - begin;
  part.model_parameters = parameters.models.data();
  part.shared_parameters = parameters.shared.data();
  std::vector<const void*> part_models(models_);
  if (begin > 0) {
    part.out = out_ + begin * size_of(part.out_dtype);
    if (part.base) part.base = static_cast<const char*>(part.base) + begin * size_of(part.base_dtype);
    for (size_t k = 0; k < part_models.size(); ++k)
      part_models[k] = static_cast<const char*>(models_[k]) + begin * size_of(dtypes_[k]);
    part.models = part_models.data();
  }
  if (overflows(part.out_dtype, function_(part))) look_into(part, range_.first + begin);
}

void FoldTile::look_into(const FoldCall& part, int64_t first) {
  const Job& job = tiles_.job();
  const Inspection found = inspect(part, function_);
  if (found.created && !context_.call.allow_nonfinite)
    throw InvalidArgument("tensor '" + job.name + "': element " + std::to_string(first + found.first_created) +
                          (found.created > 1 ? " and others" : "") + " of the result would be NaN or infinite in " +
                          std::string(info(part.out_dtype).code) + " although every input is finite (method '" +
                          context_.call.method->info->name +
                          "'); use smaller weights, a wider dtype, or allow_nonfinite to keep it");
  const std::lock_guard lock(context_.record.mutex);
  if (found.saturated) context_.record.saturated[job.name] += found.saturated;
  if (found.inherited) context_.record.nonfinite_inputs[job.name] += found.inherited;
}

}  // namespace fk
