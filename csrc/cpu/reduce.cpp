// reduce.cpp: picks the dot-product kernel for an instruction set.
#include "cpu/reduce.hpp"

#include "cpu/gram.hpp"

FK_KERNEL_TABLE(fk_gram, void, const fk::GramCall&);

namespace fk {

void gram_block(const GramCall& call, bool f64, Isa isa) {
  f64 ? gram<double>(call) : fk_gram[static_cast<int>(isa)](call);
}

}  // namespace fk
