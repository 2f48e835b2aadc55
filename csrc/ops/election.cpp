// election.cpp: the folds of an election, block by block, between their results and signs.
#include "ops/election.hpp"

#include <algorithm>

#include "cpu/span.hpp"
#include "ops/agreement.hpp"
#include "ops/folding.hpp"
#include "ops/votes.hpp"

FK_KERNEL_TABLE(fk_fold_Agreement, int64_t, const fk::FoldCall&);
FK_KERNEL_TABLE(fk_fold_Votes, int64_t, const fk::FoldCall&);

namespace fk::ops {
namespace {

constexpr int64_t kStretch = 4096;

// Calls work(first, n, worker) for stretches that stay in the cache.
template <class Work>
void for_each_stretch(int64_t elements, int threads, const Work& work) {
  for_each_tile(elements, threads, [&](int64_t first, int64_t n, int worker) {
    for (int64_t i = first; i < first + n; i += kStretch) work(i, std::min(kStretch, first + n - i), worker);
  });
}

std::vector<Tensor> from_element(std::span<const Tensor> models, int64_t first) {
  std::vector<Tensor> parts;
  for (const Tensor& model : models) parts.push_back({model.at(first), model.dtype});
  return parts;
}

template <class T>
void write_signs(const T* values, int64_t n, int8_t* signs) {
  for (int64_t i = 0; i < n; ++i) signs[i] = static_cast<int8_t>((values[i] > 0) - (values[i] < 0));
}

template <class T>
void elect(Folding& folding, std::span<const Tensor> models, int64_t elements, int8_t* signs, const Execution& how) {
  for_each_stretch(elements, how.threads, [&](int64_t first, int64_t n, int worker) {
    T sums[kStretch];
    folding.fold({.models = from_element(models, first), .out = sums, .n = n}, worker);
    write_signs(sums, n, signs + first);
  });
}

void elect(Folding& folding, std::span<const Tensor> models, int64_t elements, bool f64, int8_t* signs,
           const Execution& how) {
  f64 ? elect<double>(folding, models, elements, signs, how) : elect<float>(folding, models, elements, signs, how);
}

// The models' signs as their weights.
template <class T>
void resolve_votes(std::span<const double> weights, FoldParameters& out) {
  using Model = Votes::Model<T>;
  out.models.resize(sizeof(Model) * weights.size());
  out.shared.resize(sizeof(Votes::Shared<T>));
  auto* const models = reinterpret_cast<Model*>(out.models.data());
  for (size_t k = 0; k < weights.size(); ++k) models[k].weight = static_cast<T>((weights[k] > 0) - (weights[k] < 0));
}

// Signs as numbers of a format, so that a kernel may take them from memory as it takes the models.
class SignCodes {
 public:
  explicit SignCodes(DType dtype) : size_(size_of(dtype)) {
    with_format(dtype, [&]<DType D>() {
      using T = std::conditional_t<D == DType::f64, double, float>;
      for (int64_t i = 0; i < 3; ++i) store<D, T>(codes_, i, static_cast<T>(i - 1));
    });
  }
  void write(const int8_t* signs, int64_t n, char* out) const {
    if (size_ == 8) return write_as<uint64_t>(signs, n, out);
    if (size_ == 4) return write_as<uint32_t>(signs, n, out);
    if (size_ == 2) return write_as<uint16_t>(signs, n, out);
    write_as<uint8_t>(signs, n, out);
  }

 private:
  template <class Code>
  void write_as(const int8_t* signs, int64_t n, char* out) const {
    Code codes[3];
    std::memcpy(codes, codes_, sizeof codes);
    for (int64_t i = 0; i < n; ++i) {
      const Code code = signs[i] < 0 ? codes[0] : signs[i] > 0 ? codes[2] : codes[1];
      std::memcpy(out + i * static_cast<int64_t>(sizeof code), &code, sizeof code);
    }
  }
  int size_;
  char codes_[24];  // of -1, 0 and +1
};

// Weights of the models that follow the sign.
template <class T>
void resolve_agreement(std::span<const double> weights, FoldParameters& out) {
  using Model = Agreement::Model<T>;
  using Shared = Agreement::Shared<T>;
  const Values values = agreement_values(weights);
  out.models.resize(sizeof(Model) * (weights.size() + 1));
  out.shared.resize(sizeof(Shared));
  auto* const models = reinterpret_cast<Model*>(out.models.data());
  models[0] = {};
  for (size_t k = 0; k < weights.size(); ++k) SignConsensus::resolve(values, static_cast<int>(k), models[k + 1]);
  *reinterpret_cast<Shared*>(out.shared.data()) = agreement_of<T>();
}

}  // namespace

void elect_by_sum(std::span<const Tensor> models, std::span<const double> weights, int64_t elements, bool f64,
                  int8_t* signs, const Execution& how) {
  const Values values{{{"weight", {weights.begin(), weights.end()}}, {"normalize", {0}}}};
  const DType compute = f64 ? DType::f64 : DType::f32;
  Folding folding(method_named("linear"), values, static_cast<int>(models.size()), compute, how);
  elect(folding, models, elements, f64, signs, how);
}

void elect_by_count(std::span<const Tensor> models, std::span<const double> weights, int64_t elements, bool f64,
                    int8_t* signs, const Execution& how) {
  const FoldKernels kernels{fk_fold_Votes, fold<Votes, double>};
  Folding folding(kernels, static_cast<int>(models.size()), f64 ? DType::f64 : DType::f32, how);
  f64 ? resolve_votes<double>(weights, folding.parameters) : resolve_votes<float>(weights, folding.parameters);
  elect(folding, models, elements, f64, signs, how);
}

void disjoint_mean(std::span<const Tensor> models, std::span<const double> weights, const int8_t* signs,
                   int64_t elements, void* out, DType out_dtype, const Execution& how) {
  const FoldKernels kernels{fk_fold_Agreement, fold<Agreement, double>};
  Folding folding(kernels, static_cast<int>(models.size()) + 1, out_dtype, how);
  out_dtype == DType::f64 ? resolve_agreement<double>(weights, folding.parameters)
                          : resolve_agreement<float>(weights, folding.parameters);
  const SignCodes codes(out_dtype);
  for_each_stretch(elements, how.threads, [&](int64_t first, int64_t n, int worker) {
    char elected[kStretch * 8];
    codes.write(signs + first, n, elected);
    std::vector<Tensor> parts{{elected, out_dtype}};
    for (const Tensor& model : models) parts.push_back({model.at(first), model.dtype});
    folding.fold({.models = parts, .out = static_cast<char*>(out) + first * size_of(out_dtype), .n = n}, worker);
  });
}

}  // namespace fk::ops
