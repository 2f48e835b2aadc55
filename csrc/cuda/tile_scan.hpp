// tile_scan.hpp: one tile's share of the searches for cuts that the host conducts, tile by tile.
#pragma once
#include "cuda/groups.hpp"

namespace fk::cuda {

class TileScan {
 public:
  TileScan(const MergeCall& call, const ResidentTensor& tile, const std::vector<ScanRequest>& requests, Memory& memory);
  void run(const Queue& queue, char* found);

  static int64_t found_bytes(int requests);
  static ScanAnswer answer(const char* found, int request, int requests, int64_t units);

 private:
  struct Pass {  // requests that one kernel serves
    ScanPass pass;
    std::vector<CutSearch> searches;
    Memory::Table<CutSearch> table;
  };
  bool f64_;
  Group group_;
  std::vector<Pass> passes_;
  int count_;
  char* found_;  // ScanFound, then bins, of each request
};

}  // namespace fk::cuda
