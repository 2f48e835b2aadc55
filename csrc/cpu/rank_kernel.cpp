// rank_kernel.cpp: what is kept by rank, for the instruction set this file is compiled for.
#include "cpu/isa.hpp"
#include "cpu/ranks.hpp"

int64_t FK_KERNEL(fk_keep_by_rank)(const fk::RankCall& call) { return fk::keep_by_rank<fk::Lanes<FK_WIDTH>::V>(call); }
