// tuning.cuh: the numbers that decide how work is cut, and nothing else. None of them shows in a result.
#pragma once
#include <cstdint>

namespace fk::cuda {

inline constexpr int kThreads = 256;      // of a block that streams
inline constexpr int kEight = 8;          // neighbours a thread takes at once: one call of Philox, 16 bytes of bf16
inline constexpr int64_t kChunk = 16384;  // elements a block takes at once; a multiple of kThreads * kEight
inline constexpr int kBlocksPerProcessor = 8;     // of the streaming kernels: more than fit, so that none runs dry
inline constexpr int kDecidingThreads = 1024;     // of a block that decides alone
inline constexpr int64_t kShortRow = 64;          // up to which the ranks of a row are counted one by one
inline constexpr int64_t kSample = 32768;         // magnitudes that bracket a cut
inline constexpr int64_t kFewestEntries = 16384;  // room for what a bracket holds; smaller tensors are one block's work
inline constexpr int64_t kShortRowsAtOnce = 65535;  // whose cuts one round of launches finds: one block's work each
inline constexpr int64_t kLongRowsAtOnce = 128;     // the same of rows that need room to search in

// Blocks of a fold over K models that a processor must have room for at once; 0: the compiler decides. Over any number
// of models (K = 0) it would spill a few registers to fit one block more.
constexpr int resident_blocks(int K) { return K == 0 ? 1 : 0; }

constexpr int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

constexpr int64_t entries_for(int64_t n) {  // room beyond which more saves nothing: twice what a bracket holds
  const int64_t room = n / 16;
  return n <= kFewestEntries ? 0 : room > 2 * kSample ? room : 2 * kSample;
}

}  // namespace fk::cuda
