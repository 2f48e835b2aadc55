// tuning.cuh: the numbers that decide how work is cut, and nothing else. None of them shows in a result.
#pragma once
#include <cstdint>

namespace fk::cuda {

inline constexpr int kThreads = 256;      // of a block that streams
inline constexpr int kEight = 8;          // neighbours a thread takes at once: one call of Philox, 16 bytes of bf16
inline constexpr int64_t kChunk = 16384;  // elements a block takes at once; a multiple of kThreads * kEight
inline constexpr int kBlocksPerProcessor = 8;  // of the streaming kernels: more than fit, so that none runs dry
inline constexpr unsigned kFewestBlocks = 16;  // of each search that a launch serves
inline constexpr int kDecidingThreads = 1024;  // of a block that decides alone
inline constexpr int kColumnsAtOnce = 32;      // that a block sums: so few give every processor some
inline constexpr int kRowsAtOnce = kThreads * kEight / kColumnsAtOnce;
inline constexpr int64_t kShortRow = 64;          // up to which the ranks of a row are counted one by one
inline constexpr int64_t kSample = 32768;         // magnitudes that bracket a cut
inline constexpr int64_t kFewestEntries = 16384;  // room for what a bracket holds; smaller tensors are one block's work
// Entries of a bracket that one block looks through; where there may be more, all blocks narrow them down first. The
// emulated device begins earlier, so that its small tensors get there.
#if defined(FK_EMULATED)
inline constexpr int kEntriesAloneBits = 8;
#else
inline constexpr int kEntriesAloneBits = 15;
#endif
inline constexpr int64_t kEntriesAlone = int64_t{1} << kEntriesAloneBits;
inline constexpr int kFour = 4;                     // entries on their way to a thread at once
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
constexpr bool narrows(int64_t n) { return entries_for(n) > 2 * kEntriesAlone; }

}  // namespace fk::cuda
