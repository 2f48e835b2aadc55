// warp.h: collectives of a warp: shuffles, votes, __syncwarp.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace emulator {

enum class Collective : uint8_t { syncwarp, shuffle, shuffle_up, shuffle_down, shuffle_xor, ballot, any, all };
const char* name_of(Collective collective);

// Hands in `value` and waits until all lanes of the mask have. What a shuffle gets: the value of the lane that is
// `offset` away, in its way of counting. What the others get: which lanes handed in a value other than 0.
uint64_t collect(Collective collective, unsigned mask, uint64_t value, unsigned offset, int width);

template <class T>
concept Shuffled = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);

template <Shuffled T>
T shuffle(Collective collective, unsigned mask, T value, unsigned offset, int width) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = collect(collective, mask, bits, offset, width);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulator

template <emulator::Shuffled T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return emulator::shuffle(emulator::Collective::shuffle, mask, value, static_cast<unsigned>(lane), width);
}
template <emulator::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return emulator::shuffle(emulator::Collective::shuffle_up, mask, value, delta, width);
}
template <emulator::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return emulator::shuffle(emulator::Collective::shuffle_down, mask, value, delta, width);
}
template <emulator::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return emulator::shuffle(emulator::Collective::shuffle_xor, mask, value, static_cast<unsigned>(lanes), width);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return static_cast<unsigned>(emulator::collect(emulator::Collective::ballot, mask, predicate != 0, 0, 32));
}
inline int __any_sync(unsigned mask, int predicate) {
  return emulator::collect(emulator::Collective::any, mask, predicate != 0, 0, 32) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return emulator::collect(emulator::Collective::all, mask, predicate != 0, 0, 32) == mask;
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulator::collect(emulator::Collective::syncwarp, mask, 0, 0, 32);
}
