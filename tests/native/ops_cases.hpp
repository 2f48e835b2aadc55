// ops_cases.hpp: tensors for single operations, in memory that ends where they end, and all that these make of them.
#pragma once
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "ops/election.hpp"
#include "ops/products.hpp"
#include "ops/sparsify.hpp"
#include "random.hpp"

namespace fk::test {

using ops::Execution;
using ops::Rows;
using ops::Tensor;

inline const std::vector<DType> kFloatFormats{DType::f64,  DType::f32,     DType::f16,
                                              DType::bf16, DType::f8_e4m3, DType::f8_e5m2};

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
  ops::Drawing drawing() const { return {density, 7, 1, "tensor", true}; }
  DType out_dtype() const { return f64 ? DType::f64 : models()[0].dtype; }
};

// What each operation writes, by its name.
using Results = std::vector<std::pair<std::string, std::string>>;

inline Results results(const Case& one, const Execution& how) {
  const int64_t n = one.rows.elements();
  const Tensor& first = one.models()[0];
  const bool f64 = first.dtype == DType::f64;
  Results found;
  const auto write = [&](const char* name, int64_t bytes, const std::function<void(void*)>& operation) {
    const Exact out(bytes);
    operation(out.data());
    found.emplace_back(name, std::string(out.data(), static_cast<size_t>(bytes)));
  };
  const std::vector<Cut> cuts = ops::find_cuts(first, one.rows, one.density, how);
  std::vector<Cut> told;  // as a user is told them: as numbers
  for (const Cut& cut : cuts) told.push_back(ops::cut_at(ops::threshold_of(cut, f64), cut.last, f64));
  found.emplace_back("find_cuts", bytes_of(told));
  write("keep_above", n * size_of(first.dtype), [&](void* out) { ops::keep_above(first, one.rows, cuts, out, how); });
  write("keep_at_random", n * size_of(first.dtype),
        [&](void* out) { ops::keep_at_random(first, n, one.drawing(), out, how); });
  write("elect_by_sum", n,
        [&](void* out) { ops::elect_by_sum(one.models(), one.weights, n, one.f64, static_cast<int8_t*>(out), how); });
  write("elect_by_count", n,
        [&](void* out) { ops::elect_by_count(one.models(), one.weights, n, one.f64, static_cast<int8_t*>(out), how); });
  write("disjoint_mean", n * size_of(one.out_dtype()), [&](void* out) {
    ops::disjoint_mean(one.models(), one.weights, one.signs.data(), n, out, one.out_dtype(), how);
  });
  const auto count = static_cast<int64_t>(one.models().size());
  write("gram_matrix", count * count * 8,
        [&](void* out) { ops::gram_matrix(one.group(), n, static_cast<double*>(out), how); });
  write("dot_products", count * 8,
        [&](void* out) { ops::dot_products(first, one.group(), n, static_cast<double*>(out), how); });
  for (const int p : {1, 2})
    write(p == 1 ? "norms, p 1" : "norms, p 2", count * one.rows.count * 8,
          [&](void* out) { ops::norms(one.group(), one.rows, p, static_cast<double*>(out), how); });
  return found;
}

// The names of the operations that wrote something else.
inline std::string differing(const Results& found, const Results& expected) {
  std::string names;
  for (size_t i = 0; i < expected.size(); ++i)
    if (found.at(i) != expected[i]) names += (names.empty() ? "" : "; ") + expected[i].first;
  return names;
}

inline Case draw_case(Random& random, Rows rows, bool f64) {
  Case one{rows, {}, {}, {}, 0, f64, random.one_in(2)};
  const int64_t n = rows.elements();
  const auto pattern = static_cast<Pattern>(random.below(3) == 0 ? 2 : 0);  // of NaN there are several
  const bool alike = random.one_in(2);
  const DType dtype = f64 ? DType::f64 : kFloatFormats[static_cast<size_t>(1 + random.below(5))];
  const int64_t models = 1 + random.below(6);
  for (int64_t k = 0; k <= models; ++k) {
    one.inputs.add(random, alike || k == 1 ? dtype : random.pick(kFloatFormats), n, pattern);
    if (k > 0) one.weights.push_back(random.uniform(-1, 1));
  }
  for (int64_t i = 0; i < n; ++i) one.signs.push_back(static_cast<int8_t>(random.below(3) - 1));
  one.density = random.pick(std::vector<double>{0, 1e-9, 0.2, 0.7, 1});
  return one;
}

}  // namespace fk::test
