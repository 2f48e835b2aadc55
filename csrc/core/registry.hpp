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

struct Method {
  const Info* info;
  std::span<const Param> params;
  const char* trims_by;  // the parameter that says how much of each delta is kept, or null
  bool is_gram;

  void (*resolve)(const Values&, int count, bool f64, FoldParameters&);
  void (*set_above)(FoldParameters&, int k, bool f64, int64_t above);
  void (*coefficients)(std::span<const double> gram, const Values&, std::span<double> out);

  PerIsa<FoldFunction> fold;
  FoldFunction fold_f64;

  FoldFunction fold_for(Isa isa, bool f64) const { return f64 ? fold_f64 : fold[static_cast<int>(isa)]; }
};

inline std::map<std::string_view, Method>& registry() {
  static std::map<std::string_view, Method> methods;
  return methods;
}

}  // namespace fk
