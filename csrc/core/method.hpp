// method.hpp: the contract a merging method's file fulfils.
//
// A method is a struct with
//   static constexpr Info info            name, one-line summary, formula, paper, role of the base
//   static constexpr Param params[]       its parameters: they become the Python signature, the docs and the checks
//   problem(values, k)                    optional: what is wrong with the parameters of model k taken together, or,
//                                         for k = -1, with those of all; empty if nothing is
// and either, for a fold (each output element from the same element of every model),
//   template <class V> struct Model       what a kernel reads about one model: members V or Int<V>, nothing else
//   template <class T> struct Shared      what it reads once: scalars
//   resolve(values, k, Model<T>&), resolve(values, Shared<T>&)    these from the parameters, on the host, for T float
//                                         (double where the output is F64); the engine spreads Model<T> over the lanes
//   rounds                                how often the models are walked per element
//   template <class V> struct State       what is carried from model to model
//   step<Round, First>(state, x, model, shared)   x is the model's delta (Space::delta) or value (Space::weight)
//   finish(state, shared)                 the merged delta or value
// or, for a fold that needs all models of an element at once, instead of Model, State, step and finish,
//   combine<V>(x, count, shared)          x(k) is model k's value; count is a constant up to eight models
// or, for a gram method (a weighted sum whose coefficients depend on the dot products of the models, or of their deltas
// where there is a base),
//   coefficients(gram, values, out)       from the K x K matrix of dot products, in double
//   axis(values)                          optional: what is one vector, the tensor, a row or a column
// A fold may ask that only a share of each delta is kept: `sparsifier`, see there.
#pragma once
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/portable.hpp"

namespace fk {

enum class Space { weight, delta };
// member: the base is one of the merged models, and the first. optional: with one, deltas are merged instead of models.
enum class Base { ignored, required, member, optional };
enum class Axis { tensor, row, column };

// Which elements of a delta are kept, of parameters `density` and, for a band, `gamma`, for ranked, `epsilon`.
//   top      the largest magnitudes. The engine finds the threshold; Model has `above`, and step() drops what does not
//            exceed it (see parts/sparsifiers.hpp).
//   band     the same below the `gamma` share of the largest, which are dropped: Model also has `ceiling`.
//   random   each with probability `density`; ranked: with more, the higher its rank in its row. The engine draws a
//            mask, and dropped deltas are 0 before step() sees them.
// A sparsified method has, beside resolve(), which it is asked for in double,
//   rescaled(const Model<double>&, factor, Model<T>&)    the same with model k's kept deltas multiplied by a factor, so
// that the sum of their magnitudes (or what it is expected to be) stays what it was. On a GPU it is called there: the
// factor is found there.
enum class Sparsifier { none, top, band, random, ranked };

struct Paper {
  const char* title = "";
  const char* authors = "";
  int year = 0;
  const char* url = "";
};

struct Info {
  const char* name;
  const char* summary;
  const char* formula;
  Space space = Space::weight;
  Base base = Base::ignored;
  int min_models = 1;
  int max_models = 0;  // 0: any number
  Paper paper = {};
  const char* ignored_keys = "";  // keys of mergekit's recipes that mean nothing here, accepted and noted
};

enum class Type { number, integer, boolean, choice };
inline constexpr double kRequired = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kSame = std::numeric_limits<double>::quiet_NaN();  // a preset that keeps mergekit's default

struct Param {
  const char* name;
  const char* doc;
  bool per_model = false;
  Type type = Type::number;
  double fallback = kRequired;  // for a choice: its position in `choices`
  double paper = kSame;         // defaults under preset="paper" and preset="fusionbench"
  double fusionbench = kSame;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  const char* choices = "";  // "sum|max"
};

// Every parameter of a method with its value, resolved for one output tensor. Doubles until a kernel reads them.
struct Values {
  std::map<std::string, std::vector<double>, std::less<>> of;
  double shared(const char* name) const { return of.find(name)->second.at(0); }
  double per_model(const char* name, int k) const { return of.find(name)->second.at(k); }
  bool flag(const char* name) const { return shared(name) != 0; }
  std::vector<double> factors = {};  // what sparsified deltas are rescaled by; empty: 1
  double factor(int k) const { return factors.empty() ? 1.0 : factors[static_cast<size_t>(k)]; }
  double sum(const char* name) const {
    double total = 0;
    for (double value : of.find(name)->second) total += value;
    return total;
  }
};

// Whether a fold is written as combine().
template <class M>
inline constexpr bool is_combination = !requires { M::rounds; } && !requires { &M::coefficients; };

// Whether a fold says when less than all its arithmetic is needed, is_usual(), and how its steps then are, in Usual.
// The result is the same.
template <class M>
inline constexpr bool has_usual_case =
    requires(const typename M::template Model<float>* models, const typename M::template Shared<float>& shared) {
      M::is_usual(models, 1, shared);
    };

template <class M>
inline constexpr bool is_rescaled =
    requires(typename M::template Model<double>& model) { M::rescaled(model, 1.0, model); };

// Methods inherit what they are composed of, so a member of that name may come from a part.
template <class M>
constexpr Sparsifier sparsifier_of() {
  if constexpr (requires { M::sparsifier; })
    return M::sparsifier;
  else
    return Sparsifier::none;
}
constexpr bool trims(Sparsifier sparsifier) { return sparsifier == Sparsifier::top || sparsifier == Sparsifier::band; }
constexpr bool is_masked(Sparsifier sparsifier) {
  return sparsifier == Sparsifier::random || sparsifier == Sparsifier::ranked;
}

// A trimmed delta keeps the elements whose magnitude_bits exceed `above`. The last kept magnitude T may occur again
// further on, where it is dropped: the engine cuts the tensor there and passes T - 1 before the cut, T after it, so no
// index reaches a kernel. -1 keeps all; the largest integer keeps none.
template <class V>
using KeptAbove = Int<V>;

}  // namespace fk
