// register.hpp: one method's registry entry, and its fold in double. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "core/registry.hpp"

namespace fk {

template <class M, class T>
void resolve_as(const Values& values, int count, FoldParameters& out) {
  using Shared = typename M::template Shared<T>;
  out.shared.resize(sizeof(Shared));
  Shared& shared = *reinterpret_cast<Shared*>(out.shared.data());
  if constexpr (is_combination<M>) {
    M::resolve(values, count, shared);
  } else {
    using Model = typename M::template Model<T>;
    out.models.resize(sizeof(Model) * static_cast<size_t>(count));
    for (int k = 0; k < count; ++k) {
      Model& model = reinterpret_cast<Model*>(out.models.data())[k];
      if constexpr (is_rescaled<M>) {
        typename M::template Model<double> plain;
        M::resolve(values, k, plain);
        M::rescaled(plain, values.factor(k), model);
      } else {
        M::resolve(values, k, model);
      }
    }
    M::resolve(values, shared);
  }
}

template <class M, class T>
void set_cut_as(FoldParameters& parameters, int k, int which, int64_t above) {
  auto& model = reinterpret_cast<typename M::template Model<T>*>(parameters.models.data())[k];
  if (which == 0) model.above = static_cast<IntOf<T>>(above);
  if constexpr (sparsifier_of<M>() == Sparsifier::band)
    if (which == 1) model.ceiling = static_cast<IntOf<T>>(above);
}

template <class M>
bool register_method(const FoldKernels& kernels) {
  using F = FoldOf<M>;
  Method method{&M::info, M::params};
  method.sparsifier = sparsifier_of<M>();
  method.is_gram = is_gram_method<M>;
  method.is_rescaled = is_rescaled<F>;
  method.kernels = kernels;
  method.resolve = [](const Values& values, int count, bool f64, FoldParameters& out) {
    f64 ? resolve_as<F, double>(values, count, out) : resolve_as<F, float>(values, count, out);
  };
  if constexpr (trims(sparsifier_of<M>())) {
    method.set_cut = [](FoldParameters& parameters, int k, int which, bool f64, int64_t above) {
      f64 ? set_cut_as<M, double>(parameters, k, which, above) : set_cut_as<M, float>(parameters, k, which, above);
    };
  }
  if constexpr (requires(const Values& values) { M::problem(values, 0); }) method.problem = &M::problem;
  if constexpr (requires(const Values& values) { M::axis(values); }) method.axis = &M::axis;
  if constexpr (is_gram_method<M>) method.coefficients = &M::coefficients;
  return registry().emplace(M::info.name, method).second;
}

template <class M>
int64_t fold_f64(const FoldCall& call) {
  if constexpr (is_gram_method<M>)
    return 0;
  else
    return fold<M, double>(call);
}

}  // namespace fk

#define FK_METHOD(M)                                          \
  FK_KERNEL_TABLE(fk_fold_##M, int64_t, const fk::FoldCall&); \
  [[maybe_unused]] static const bool fk_registered_##M = fk::register_method<fk::M>({fk_fold_##M, fk::fold_f64<fk::M>})
