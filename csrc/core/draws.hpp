// draws.hpp: the random numbers of a tensor: what they hang on, and how a share of kept elements is expressed in them.
//
// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). The key is the 64-bit FNV-1a hash
// of the seed and the model's number among the models that are not the base, as eight little-endian bytes each, and the
// output tensor's name. Elements 8b to 8b + 7 share the call with counter (b, 0): element 8b + j takes 16 bits, the low
// or high half (j even or odd) of word j / 2. So a tensor's draws hang on nothing else that is merged, nor on who draws
// them. This layout is a public format: changing it changes results.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/portable.hpp"

namespace fk {

inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u, kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u, kPhiloxWeyl1 = 0xBB67AE85u;

inline uint64_t draw_key(uint64_t seed, uint64_t model, std::string_view tensor) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3u; };
  for (const uint64_t number : {seed, model})
    for (int byte = 0; byte < 8; ++byte) add(static_cast<uint8_t>(number >> (8 * byte)));
  for (const char c : tensor) add(static_cast<uint8_t>(c));
  return hash;
}

// An element is kept where its draw, in [0, 65536), is below this.
FK_FN uint32_t kept_draws(double probability) {
  if (probability <= 0) return 0;
  if (probability >= 1) return 65536;
  const auto nearest = static_cast<uint32_t>(65536.0 * probability + 0.5);
  return nearest > 1 ? nearest : 1;
}

}  // namespace fk
