// dot_kernel.cpp: one tensor's dot products with others, for the instruction set this file is compiled for.
#include "cpu/dots.hpp"
#include "cpu/isa.hpp"

void FK_KERNEL(fk_dots)(const fk::DotCall& call) { fk::dots<fk::Lanes<FK_WIDTH>::V>(call); }
