// test_ops.cpp: single operations on memory that ends where its tensors end: every instruction set and number of
// threads gives the bits of the scalar kernels on one.
#include <deque>
#include <functional>

#include "check.hpp"
#include "ops/election.hpp"
#include "ops/products.hpp"
#include "ops/sparsify.hpp"
#include "random.hpp"

using namespace fk;
using namespace fk::test;
using ops::Execution;
using ops::Rows;
using ops::Tensor;

namespace {

const std::vector<DType> kFloats{DType::f64, DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2};

// Tensors of so many elements, each in memory of its own.
struct Inputs {
  std::deque<Exact> memory;
  std::vector<Tensor> tensors;
  void add(Random& random, DType dtype, int64_t elements, Pattern pattern) {
    memory.emplace_back(elements * size_of(dtype), random.one_in(2) ? 1 : 0);
    fill(random, dtype, pattern, memory.back());
    tensors.push_back({memory.back().data(), dtype});
  }
};

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

struct Case {
  Rows rows;
  Inputs inputs;  // the base first
  std::vector<double> weights;
  std::vector<int8_t> signs;
  double density;
  bool f64, with_base;

  std::span<const Tensor> models() const { return std::span(inputs.tensors).subspan(1); }
  ops::Group group() const { return {models(), with_base ? inputs.tensors[0] : Tensor{nullptr, DType::f32}, f64}; }
  DType out_dtype() const { return f64 ? DType::f64 : models()[0].dtype; }
};

// Everything an operation writes, one after the other.
std::string results(const Case& one, const Execution& how) {
  const int64_t n = one.rows.elements();
  const Tensor& first = one.models()[0];
  std::string found;
  const auto write = [&](int64_t bytes, const std::function<void(void*)>& operation) {
    const Exact out(bytes);
    operation(out.data());
    found.append(out.data(), static_cast<size_t>(bytes));
  };
  const std::vector<Cut> cuts = ops::find_cuts(first, one.rows, one.density, how);
  found += bytes_of(cuts);
  write(n * size_of(first.dtype), [&](void* out) { ops::keep_above(first, one.rows, cuts, out, how); });
  write(n * size_of(first.dtype),
        [&](void* out) { ops::keep_at_random(first, n, {one.density, 7, 1, "tensor", true}, out, how); });
  for (const auto elect : {ops::elect_by_sum, ops::elect_by_count})
    write(n, [&](void* out) { elect(one.models(), one.weights, n, one.f64, static_cast<int8_t*>(out), how); });
  write(n * size_of(one.out_dtype()), [&](void* out) {
    ops::disjoint_mean(one.models(), one.weights, one.signs.data(), n, out, one.out_dtype(), how);
  });
  const auto count = static_cast<int64_t>(one.models().size());
  write(count * count * 8, [&](void* out) { ops::gram_matrix(one.group(), n, static_cast<double*>(out), how); });
  write(count * 8, [&](void* out) { ops::dot_products(first, one.group(), n, static_cast<double*>(out), how); });
  for (const int p : {1, 2})
    write(count * one.rows.count * 8,
          [&](void* out) { ops::norms(one.group(), one.rows, p, static_cast<double*>(out), how); });
  return found;
}

Case draw_case(Random& random, Rows rows, bool f64) {
  Case one{rows, {}, {}, {}, 0, f64, random.one_in(2)};
  const int64_t n = rows.elements();
  const auto pattern = static_cast<Pattern>(random.below(3) == 0 ? 2 : 0);  // of NaN there are several
  const bool alike = random.one_in(2);
  const DType dtype = f64 ? DType::f64 : kFloats[static_cast<size_t>(1 + random.below(5))];
  const int64_t models = 1 + random.below(6);
  for (int64_t k = 0; k <= models; ++k) {
    one.inputs.add(random, alike || k == 1 ? dtype : random.pick(kFloats), n, pattern);
    if (k > 0) one.weights.push_back(random.uniform(-1, 1));
  }
  for (int64_t i = 0; i < n; ++i) one.signs.push_back(static_cast<int8_t>(random.below(3) - 1));
  one.density = random.pick(std::vector<double>{0, 1e-9, 0.2, 0.7, 1});
  return one;
}

void agree(Random& random, Rows rows, bool f64, const std::vector<int>& threads) {
  const Case one = draw_case(random, rows, f64);
  const std::string expected = results(one, {Isa::scalar, 1});
  for (int isa = 0; isa < kIsas; ++isa) {
    if (!supported(static_cast<Isa>(isa))) continue;
    for (const int count : threads)
      CHECK(results(one, {static_cast<Isa>(isa), count}) == expected, rows.count, " rows of ", rows.length, ", ",
            one.models().size(), " models, ", info(one.out_dtype()).code, ", ", kIsaNames[isa], ", ", count,
            " threads");
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
