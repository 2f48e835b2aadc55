// masks.cpp: draws a tile's masks, reading whole rows where ranks are asked for.
#include "stream/masks.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/mass.hpp"
#include "cpu/philox.hpp"

FK_KERNEL_TABLE(fk_keep_bits, void, const fk::DrawCall&);
FK_KERNEL_TABLE(fk_draw_all, void, const fk::DrawCall&);
FK_KERNEL_TABLE(fk_threshold_bits, void, const fk::ThresholdCall&);
FK_KERNEL_TABLE(fk_rank_bins, void, const fk::BinCall&);
FK_KERNEL_TABLE(fk_delta_magnitudes, void, const fk::MagnitudeCall&);

namespace fk {
namespace {

constexpr int64_t aligned64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

void magnitudes_of(const DeltaSpan& span, bool f64, Isa isa, void* out) {
  const MagnitudeCall call{span, out};
  f64 ? delta_magnitudes<double>(call) : fk_delta_magnitudes[static_cast<int>(isa)](call);
}

}  // namespace

int64_t rank_row_bytes(int64_t columns, bool f64) {
  return aligned64(columns * (f64 ? 8 : 4)) + aligned64(rank_scratch_bytes(columns)) +
         2 * aligned64((columns + 16) * 2);
}

Masks::Masks(const MergeContext& context, const Job& job, const Values& values, std::span<char> store)
    : isa_(context.isa), job_(&job), store_(store) {
  const int64_t tile = context.plan.tile_elements;
  if (!store.empty()) stored_.resize(static_cast<size_t>((job.units() + tile - 1) / tile));
  const bool ranked = context.call.method->sparsifier == Sparsifier::ranked;
  for (int k = 0; k < job.count(); ++k) {
    const double density = values.per_model("density", k);
    below_.push_back(kept_draws(density));
    keys_.push_back(draw_key(context.call.seed, static_cast<uint64_t>(k), job.name));
    const bool by_rank = ranked && density > 0 && density < 1;
    ranks_.push_back(by_rank ? RankTable(density, values.per_model("epsilon", k), job.cols) : RankTable());
  }
}

const uint8_t* const* Masks::draw(const Tiles& tiles, int64_t tile, TileBuffers& buffers) {
  tiles.base(tile, buffers);  // makes the tile the one the buffers are about
  if (store_.empty()) {
    if (!buffers.masked)
      for (int k = 0; k < job_->count(); ++k)
        draw_model(tiles, tile, k, buffers, buffers.masks[static_cast<size_t>(k)]);
    buffers.masked = true;
    return buffers.masks.data();
  }
  const int64_t stride = stored_bytes(*job_) / job_->count();
  for (int k = 0; k < job_->count(); ++k) {
    auto* const bits = reinterpret_cast<uint8_t*>(store_.data()) + k * stride + tiles.range(tile).first / 8;
    if (!stored_[static_cast<size_t>(tile)]) draw_model(tiles, tile, k, buffers, bits);
    buffers.stored_masks[static_cast<size_t>(k)] = bits;
  }
  stored_[static_cast<size_t>(tile)] = 1;
  return buffers.stored_masks.data();
}

void Masks::draw_model(const Tiles& tiles, int64_t tile, int k, TileBuffers& buffers, uint8_t* bits) const {
  const auto [first, n] = tiles.range(tile);
  const size_t model = static_cast<size_t>(k);
  const uint32_t below = below_[model];
  if (below == 0 || below == 65536) {
    std::memset(bits, below ? 0xff : 0, static_cast<size_t>((n + 7) / 8));
  } else if (!ranks_[model].empty()) {
    draw_by_rank(tiles, tile, k, buffers, bits);
  } else {
    const DrawCall call{keys_[model], first / 8, (n + 7) / 8, below, bits, nullptr};
    fk_keep_bits[static_cast<int>(isa_)](call);
  }
}

void Masks::draw_by_rank(const Tiles& tiles, int64_t tile, int k, TileBuffers& buffers, uint8_t* bits) const {
  const auto [first, n] = tiles.range(tile);
  std::memset(bits, 0, static_cast<size_t>((n + 7) / 8));
  for (int64_t row = first / job_->cols; row * job_->cols < first + n; ++row)
    job_->f64() ? rank_row<uint64_t>(tiles, tile, k, row, buffers, bits)
                : rank_row<uint32_t>(tiles, tile, k, row, buffers, bits);
}

template <class Bits>
void Masks::rank_row(const Tiles& tiles, int64_t tile, int k, int64_t row, TileBuffers& buffers, uint8_t* bits) const {
  constexpr int64_t kPiece = 2048;
  char base[kPiece * 8], model[kPiece * 8];
  const auto [first, n] = tiles.range(tile);
  const int64_t columns = job_->cols, start = row * columns;
  const int64_t from = std::max(start, first), to = std::min(start + columns, first + n);
  char* free = buffers.row;
  const auto take = [&](int64_t bytes) {
    char* const taken = free;
    free += aligned64(bytes);
    return taken;
  };
  Bits* const magnitudes = reinterpret_cast<Bits*>(take(columns * static_cast<int64_t>(sizeof(Bits))));
  char* const scratch = take(rank_scratch_bytes(columns));
  auto* const draws = reinterpret_cast<uint16_t*>(take((columns + 16) * 2));
  auto* const bins = reinterpret_cast<uint16_t*>(take((columns + 16) * 2));

  // The row's ends may lie in the neighbouring tiles.
  const auto read_outside = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kPiece)
      magnitudes_of(tiles.delta_at(k, i, std::min(kPiece, end - i), base, model), job_->f64(), isa_,
                    magnitudes + (i - start));
  };
  read_outside(start, from);
  magnitudes_of(part_of(tiles.delta(k, tile, buffers), from - first, to - from), job_->f64(), isa_,
                magnitudes + (from - start));
  read_outside(to, start + columns);

  const int64_t block = from / 8;
  const DrawCall call{keys_[static_cast<size_t>(k)], block, (to + 7) / 8 - block, 0, nullptr, draws};
  fk_draw_all[static_cast<int>(isa_)](call);
  const BinCall binning{magnitudes, columns, bins};
  job_->f64() ? rank_bins<double>(binning) : fk_rank_bins[static_cast<int>(isa_)](binning);
  keep_by_rank<Bits>({magnitudes, static_cast<size_t>(columns)}, bins, from - start,
                     {draws + (from - block * 8), static_cast<size_t>(to - from)}, ranks_[static_cast<size_t>(k)], bits,
                     from - first, scratch);
}

const uint8_t* const* threshold_masks(const Selection& cuts, int64_t cut_offset, const Tiles& tiles, int64_t tile,
                                      TileBuffers& buffers, Isa isa) {
  const auto [first, n] = tiles.range(tile);
  for (int k = 0; k < tiles.job().count(); ++k) {
    const DeltaSpan whole = tiles.delta(k, tile, buffers);
    uint8_t* const bits = buffers.masks[static_cast<size_t>(k)];
    int64_t begin = 0;
    for (const int64_t end : cuts.ends(cut_offset + first, n)) {
      const auto [above, ceiling] = cuts.limits(k, cut_offset + first + begin);
      // A cut may fall within a byte: start at its first bit and put back those before the cut.
      const int64_t from = begin / 8 * 8;
      const uint8_t before = begin % 8 ? static_cast<uint8_t>(bits[begin / 8] & ((1 << (begin % 8)) - 1)) : uint8_t{0};
      const ThresholdCall call{part_of(whole, from, end - from), above, ceiling, bits + from / 8};
      tiles.job().f64() ? threshold_bits<double>(call) : fk_threshold_bits[static_cast<int>(isa)](call);
      if (begin % 8) {
        const auto after = static_cast<uint8_t>(0xff << (begin % 8));
        bits[begin / 8] = static_cast<uint8_t>((bits[begin / 8] & after) | before);
      }
      begin = end;
    }
  }
  return buffers.masks.data();
}

}  // namespace fk
