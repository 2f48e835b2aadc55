// mass_kernel.cpp: L1 norms, thresholds and magnitudes of deltas, for the instruction set this file is compiled for.
#include "cpu/isa.hpp"
#include "cpu/mass.hpp"

void FK_KERNEL(fk_mass)(const fk::MassCall& call) { fk::mass<fk::Lanes<FK_WIDTH>::V>(call); }
void FK_KERNEL(fk_threshold_bits)(const fk::ThresholdCall& call) { fk::threshold_bits<fk::Lanes<FK_WIDTH>::V>(call); }
void FK_KERNEL(fk_delta_magnitudes)(const fk::MagnitudeCall& call) {
  fk::delta_magnitudes<fk::Lanes<FK_WIDTH>::V>(call);
}
