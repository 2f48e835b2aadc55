// model_scope.cpp: feeds the tiles of all tensors to one selection.
#include "stream/model_scope.hpp"

#include <algorithm>

#include "stream/device_scan.hpp"

namespace fk {
namespace {

std::vector<size_t> by_name(const std::vector<Job>& jobs) {
  std::vector<size_t> order;
  for (size_t i = 0; i < jobs.size(); ++i)
    if (jobs[i].kind == Job::Kind::merge) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return jobs[a].name < jobs[b].name; });
  return order;
}

}  // namespace

int64_t ModelScope::order(std::vector<Job>& jobs) {
  int64_t elements = 0;
  for (const size_t i : by_name(jobs)) {
    jobs[i].cut_offset = elements;
    elements += jobs[i].units();
  }
  return elements;
}

ModelScope::ModelScope(const MergeContext& context, std::span<char> scratch) : context_(context) {
  const std::vector<Job>& jobs = context.call.jobs;
  int64_t elements = 0, tiles = 0;
  for (const size_t i : by_name(jobs)) {
    tensors_.emplace_back(context, jobs[i], false);
    first_tiles_.push_back(tiles);
    tiles += tensors_.back().count();
    elements += jobs[i].units();
  }
  first_tiles_.push_back(tiles);
  if (elements == 0) return;
  const Job& any = tensors_[0].job();
  selection_ =
      Selection(*context.call.method, context.call.values_of(any), any.count(), elements, tiles, any.f64(), scratch);
  begin_pass();
}

void ModelScope::begin_pass() {
  const Selection::Pass pass = selection_.pass();
  units_ = pass == Selection::Pass::done ? 0 : pass == Selection::Pass::sample ? 1 : first_tiles_.back();
}

bool ModelScope::advance() {
  selection_.advance();
  begin_pass();
  return units_ > 0;
}

// The last tensor that begins there: those before it may be empty.
ModelScope::Place ModelScope::place_of(int64_t unit) const {
  const auto next = std::upper_bound(first_tiles_.begin(), first_tiles_.end() - 1, unit);
  const auto index = static_cast<size_t>(next - first_tiles_.begin()) - 1;
  return {tensors_[index], unit - first_tiles_[index]};
}

void ModelScope::finish(int64_t unit, TileBuffers& buffers) {
  if (!buffers.lane || selection_.pass() == Selection::Pass::sample) return;
  const auto [tensor, tile] = place_of(unit);
  finish_scan(context_, selection_, tensor, tile, unit, tensor.job().cut_offset, buffers);
}

void ModelScope::work(int64_t unit, TileBuffers& buffers) {
  if (selection_.pass() == Selection::Pass::sample)
    return selection_.sample([&](int k, int64_t first, int64_t* found) { read_magnitudes(k, first, found); });
  const auto [tensor, tile] = place_of(unit);
  if (buffers.lane) return fk::begin_scan(context_, selection_, tensor, tile, unit, buffers);
  for (int k = 0; k < tensor.job().count(); ++k)
    if (selection_.wants(k, unit))
      selection_.scan(k, tensor.delta(k, tile, buffers), tensor.job().cut_offset + tensor.range(tile).first, unit,
                      context_.isa);
}

// A run of neighbours may go on in the next tensor.
void ModelScope::read_magnitudes(int k, int64_t first, int64_t* found) const {
  char base[Selector::kRun * 8], model[Selector::kRun * 8];
  int64_t read = 0;
  auto tensor = std::upper_bound(tensors_.begin(), tensors_.end(), first,
                                 [](int64_t at, const Tiles& one) { return at < one.job().cut_offset; }) -
                1;
  while (read < Selector::kRun) {
    const int64_t start = first + read - tensor->job().cut_offset;
    const int64_t n = std::min<int64_t>(Selector::kRun - read, tensor->job().units() - start);
    if (n > 0) magnitudes(tensor->delta_at(k, start, n, base, model), tensor->job().f64(), found + read);
    read += std::max<int64_t>(n, 0);
    ++tensor;
  }
}

}  // namespace fk
