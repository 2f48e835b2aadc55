// gram_kernel.cpp: the dot products of one block, for the instruction set this file is compiled for.
#include "cpu/gram.hpp"
#include "cpu/isa.hpp"

void FK_KERNEL(fk_gram)(const fk::GramCall& call) { fk::gram<fk::Lanes<FK_WIDTH>::V>(call); }
