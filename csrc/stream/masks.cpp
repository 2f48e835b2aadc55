// masks.cpp: draws a tile's masks, reading whole rows where ranks are asked for.
#include "stream/masks.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/mass.hpp"
#include "cpu/philox.hpp"
#include "cpu/ranks.hpp"

FK_KERNEL_TABLE(fk_keep_bits, void, const fk::DrawCall&);
FK_KERNEL_TABLE(fk_draw_all, void, const fk::DrawCall&);
FK_KERNEL_TABLE(fk_threshold_bits, void, const fk::ThresholdCall&);
FK_KERNEL_TABLE(fk_keep_by_rank, int64_t, const fk::RankCall&);
FK_KERNEL_TABLE(fk_delta_magnitudes, void, const fk::MagnitudeCall&);

namespace fk {
namespace {

void magnitudes_of(const DeltaSpan& span, bool f64, Isa isa, void* out) {
  const MagnitudeCall call{span, out};
  f64 ? delta_magnitudes<double>(call) : fk_delta_magnitudes[static_cast<int>(isa)](call);
}

// Bits to their place among others, where they are zero so far.
void add_bits(const uint64_t* words, int64_t n, uint8_t* bits, int64_t first) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(words);
  const int shift = static_cast<int>(first % 8);
  uint8_t* const to = bits + first / 8;
  const int64_t whole = n / 8;
  if (shift == 0) {
    std::memcpy(to, bytes, static_cast<size_t>(whole));
  } else {
    for (int64_t i = 0; i < whole; ++i) {
      to[i] = static_cast<uint8_t>(to[i] | bytes[i] << shift);
      to[i + 1] = static_cast<uint8_t>(bytes[i] >> (8 - shift));
    }
  }
  if (n % 8) {
    to[whole] = static_cast<uint8_t>(to[whole] | bytes[whole] << shift);
    if (n % 8 + shift > 8) to[whole + 1] = static_cast<uint8_t>(bytes[whole] >> (8 - shift));
  }
}

}  // namespace

int64_t rank_row_bytes(int64_t columns, bool f64) {
  return f64 ? RankRow<int64_t>{columns}.place(nullptr) : RankRow<int32_t>{columns}.place(nullptr);
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
    ranked_.push_back(ranked && density > 0 && density < 1);
    odds_.push_back(ranked_.back() ? RankOdds(density, values.per_model("epsilon", k), job.cols) : RankOdds());
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
  } else if (ranked_[model]) {
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
    job_->f64() ? rank_row<int64_t>(tiles, tile, k, row, buffers, bits)
                : rank_row<int32_t>(tiles, tile, k, row, buffers, bits);
}

template <class Bits>
void Masks::rank_row(const Tiles& tiles, int64_t tile, int k, int64_t row, TileBuffers& buffers, uint8_t* bits) const {
  constexpr int64_t kPiece = 2048;
  char base[kPiece * 8], model[kPiece * 8];
  const auto [first, n] = tiles.range(tile);
  const int64_t columns = job_->cols, start = row * columns;
  const int64_t from = std::max(start, first), to = std::min(start + columns, first + n);
  RankRow<Bits> ranks{columns, from - start, to - from};
  ranks.place(buffers.row);

  // The row's ends may lie in the neighbouring tiles.
  const auto read_outside = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kPiece)
      magnitudes_of(tiles.delta_at(k, i, std::min(kPiece, end - i), base, model), job_->f64(), isa_,
                    ranks.magnitudes + (i - start));
  };
  read_outside(start, from);
  magnitudes_of(part_of(tiles.delta(k, tile, buffers), from - first, to - from), job_->f64(), isa_,
                ranks.magnitudes + (from - start));
  read_outside(to, start + columns);

  const int64_t block = from / 8;
  const DrawCall draw{keys_[static_cast<size_t>(k)], block, (to + 7) / 8 - block, 0, nullptr, ranks.draws};
  fk_draw_all[static_cast<int>(isa_)](draw);
  ranks.draws += from - block * 8;

  const RankOdds& odds = odds_[static_cast<size_t>(k)];
  const RankCall call{&ranks, odds};
  const int64_t open = job_->f64() ? keep_by_rank<double>(call) : fk_keep_by_rank[static_cast<int>(isa_)](call);
  if (open > 0) settle_by_sorting(ranks, odds, open);
  add_bits(ranks.kept, to - from, bits, from - first);
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
