// votes_kernel.cpp: the count of votes, for the instruction set this file is compiled for.
#include "cpu/fold_kernel.hpp"
#include "ops/votes.hpp"

FK_METHOD(Votes);
