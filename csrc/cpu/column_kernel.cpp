// column_kernel.cpp: sums over columns, for the instruction set this file is compiled for.
#include "cpu/columns.hpp"
#include "cpu/isa.hpp"

void FK_KERNEL(fk_add_columns)(const fk::ColumnCall& call) { fk::add_columns<fk::Lanes<FK_WIDTH>::V>(call); }
int64_t FK_KERNEL(fk_column_sum)(const fk::FoldCall& call) { return fk::column_sum<fk::Lanes<FK_WIDTH>::V>(call); }
