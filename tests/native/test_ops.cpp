// test_ops.cpp: single operations on memory that ends where its tensors end: every instruction set and number of
// threads gives the bits of the scalar kernels on one.
#include "ops_cases.hpp"

using namespace fk;
using namespace fk::test;

namespace {

void agree(Random& random, Rows rows, bool f64, const std::vector<int>& threads) {
  const Case one = draw_case(random, rows, f64);
  const auto cuts = [&](const Execution& how) {
    return bytes_of(ops::find_cuts(one.models()[0], rows, one.density, how));
  };
  const Results expected = results(one, {Isa::scalar, 1});
  const std::string expected_cuts = cuts({Isa::scalar, 1});
  for (int isa = 0; isa < kIsas; ++isa) {
    if (!supported(static_cast<Isa>(isa))) continue;
    for (const int count : threads) {
      const Execution how{static_cast<Isa>(isa), count};
      const std::string names = differing(results(one, how), expected);
      CHECK(names.empty() && cuts(how) == expected_cuts, names, ": ", rows.count, " rows of ", rows.length, ", ",
            one.models().size(), " models, ", info(one.out_dtype()).code, ", ", kIsaNames[isa], ", ", count,
            " threads");
    }
  }
}

}  // namespace

int main() {
  Random random(1);
  const std::vector<Rows> small{{1, 0},  {0, 5}, {3, 0},    {1, 1},    {1, 63},
                                {1, 64}, {7, 9}, {2, 4096}, {3, 4097}, {1, 70000}};
  for (int round = 0; round < 6; ++round)
    for (const Rows rows : small) agree(random, rows, round % 3 == 0, {1});
  for (const Rows rows : {Rows{1, 300001}, Rows{2, 150001}, Rows{601, 501}}) agree(random, rows, false, {1, 2, 5});
}
