// draw_kernel.cpp: random draws, for the instruction set this file is compiled for.
#include "cpu/isa.hpp"
#include "cpu/philox.hpp"

void FK_KERNEL(fk_keep_bits)(const fk::DrawCall& call) { fk::keep_bits<FK_WIDTH>(call); }
void FK_KERNEL(fk_draw_all)(const fk::DrawCall& call) { fk::draw_all<FK_WIDTH>(call); }
