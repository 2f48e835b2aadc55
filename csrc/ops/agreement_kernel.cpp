// agreement_kernel.cpp: the average of those that agree, for the instruction set this file is compiled for.
#include "cpu/fold_kernel.hpp"
#include "ops/agreement.hpp"

FK_METHOD(Agreement);
