// registry.hpp: every method there is, with its backends. Methods enter themselves when the module is loaded.
#pragma once
#include <cstddef>
#include <map>
#include <string_view>

#include "core/method.hpp"
#include "cpu/fold.hpp"
#include "cpu/isa.hpp"

namespace fk {

// The numbers a fold's kernel reads, laid out as the method's own structs.
struct FoldParameters {
  std::vector<std::byte> models, shared;
};

struct FoldKernels {
  PerIsa<FoldFunction> fold;
  FoldFunction fold_f64;
  FoldFunction choose(Isa isa, bool f64) const { return f64 ? fold_f64 : fold[static_cast<int>(isa)]; }
};

struct Method {
  const Info* info;
  std::span<const Param> params;
  Sparsifier sparsifier = Sparsifier::none;
  bool is_gram = false;
  bool is_rescaled = false;
  FoldKernels kernels{};  // of a fold; gram methods share theirs, see gram_kernels()

  std::string (*problem)(const Values&, int k) = nullptr;  // empty: none
  Axis (*axis)(const Values&) = nullptr;                   // null: tensor
  void (*resolve)(const Values&, int count, bool f64, FoldParameters&) = nullptr;
  // which: 0 what the kept exceed, 1 what they do not (Sparsifier::band)
  void (*set_cut)(FoldParameters&, int k, int which, bool f64, int64_t above) = nullptr;
  void (*coefficients)(std::span<const double> gram, const Values&, std::span<double> out) = nullptr;

  bool has(std::string_view param) const {
    for (const Param& one : params)
      if (one.name == param) return true;
    return false;
  }
};

inline std::map<std::string_view, Method>& registry() {
  static std::map<std::string_view, Method> methods;
  return methods;
}

// The weighted sum of the models, or of their deltas added to the base.
const FoldKernels& gram_kernels(bool deltas);

}  // namespace fk
