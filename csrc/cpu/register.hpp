// register.hpp: one method's registry entry, and its fold in double. Included by generated files.
#pragma once
#include "core/gram_fold.hpp"
#include "core/registry.hpp"

namespace fk {

template <class M, class T>
void resolve_as(const Values& values, int count, FoldParameters& out) {
  using Model = typename M::template Model<T>;
  using Shared = typename M::template Shared<T>;
  out.models.resize(sizeof(Model) * count);
  out.shared.resize(sizeof(Shared));
  for (int k = 0; k < count; ++k) M::resolve(values, k, reinterpret_cast<Model*>(out.models.data())[k]);
  M::resolve(values, *reinterpret_cast<Shared*>(out.shared.data()));
}

template <class M, class T>
void set_above_as(FoldParameters& parameters, int k, int64_t above) {
  // Kernels compare magnitudes as they are, where a NaN may exceed the one the order knows: above that, keep none.
  auto& model = reinterpret_cast<typename M::template Model<T>*>(parameters.models.data())[k];
  model.above = above >= kNaNMagnitude<T> ? std::numeric_limits<IntOf<T>>::max() : static_cast<IntOf<T>>(above);
}

template <class M>
bool register_method(const PerIsa<FoldFunction>& fold, FoldFunction fold_f64) {
  using F = FoldOf<M>;
  Method method{};
  method.info = &M::info;
  method.params = M::params;
  method.is_gram = is_gram_method<M>;
  method.fold = fold;
  method.fold_f64 = fold_f64;
  method.resolve = [](const Values& values, int count, bool f64, FoldParameters& out) {
    f64 ? resolve_as<F, double>(values, count, out) : resolve_as<F, float>(values, count, out);
  };
  if constexpr (requires { M::trims_by; }) {
    method.trims_by = M::trims_by;
    method.set_above = [](FoldParameters& parameters, int k, bool f64, int64_t above) {
      f64 ? set_above_as<M, double>(parameters, k, above) : set_above_as<M, float>(parameters, k, above);
    };
  }
  if constexpr (is_gram_method<M>) method.coefficients = &M::coefficients;
  return registry().emplace(M::info.name, method).second;
}

}  // namespace fk

#define FK_METHOD(M)                                                                                               \
  FK_KERNEL_TABLE(fk_fold_##M, int64_t, const fk::FoldCall&);                                                      \
  static int64_t fk_fold_##M##_f64(const fk::FoldCall& call) { return fk::fold<fk::FoldOf<fk::M>, double>(call); } \
  [[maybe_unused]] static const bool fk_registered_##M = fk::register_method<fk::M>(fk_fold_##M, fk_fold_##M##_f64)
