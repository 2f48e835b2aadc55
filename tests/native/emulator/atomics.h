// atomics.h: atomic operations: plain ones, because a thread is interrupted in barriers and collectives alone.
#pragma once
#include <concepts>
#include <type_traits>

namespace emulator {

// The types that CUDA has them for: not `unsigned long`, which uint64_t is on Linux.
template <class T, class... Types>
concept OneOf = (std::same_as<T, Types> || ...);
template <class T>
concept AtomicInteger = OneOf<T, int, unsigned, unsigned long long>;
template <class T>
concept AtomicNumber = AtomicInteger<T> || OneOf<T, float, double>;

template <class T, class Operation>
T exchange(T* at, Operation operation) {
  const T old = *at;
  *at = operation(old);
  return old;
}

}  // namespace emulator

template <emulator::AtomicNumber T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(value));  // ints wrap round
    else
      return old + value;
  });
}
template <emulator::AtomicInteger T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) { return old < value ? value : old; });
}
template <emulator::AtomicInteger T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) { return value < old ? value : old; });
}
template <emulator::AtomicInteger T>
T atomicAnd(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) { return old & value; });
}
template <emulator::AtomicInteger T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) { return old | value; });
}
template <class T>
  requires emulator::AtomicInteger<T> || std::same_as<T, float>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T) { return value; });
}
template <emulator::AtomicInteger T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return emulator::exchange(at, [&](T old) { return old == expected ? value : old; });
}
