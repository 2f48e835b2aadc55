// scan_kernel.cpp: the passes of select, for the instruction set this file is compiled for.
#include "cpu/isa.hpp"
#include "cpu/scan.hpp"

fk::ScanCount FK_KERNEL(fk_collect)(const fk::ScanCall& call) { return fk::collect<fk::Lanes<FK_WIDTH>::V>(call); }
fk::ScanCount FK_KERNEL(fk_histogram)(const fk::ScanCall& call) { return fk::histogram<fk::Lanes<FK_WIDTH>::V>(call); }
