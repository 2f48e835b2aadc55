// gram_space.hpp: vectors in the span of the models, as coefficients: their geometry needs only the dot products.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/method.hpp"

namespace fk {

using Combined = std::vector<double>;  // sum_k c_k x_k

class GramSpace {
 public:
  explicit GramSpace(std::span<const double> gram)
      : gram_(gram), count_(static_cast<int>(std::lround(std::sqrt(static_cast<double>(gram.size()))))) {}

  int count() const { return count_; }
  bool finite() const {
    return std::all_of(gram_.begin(), gram_.end(), [](double product) { return std::isfinite(product); });
  }
  double norm_of_model(int k) const { return std::sqrt(gram_[static_cast<size_t>(k * count_ + k)]); }

  double dot(const Combined& a, const Combined& b) const {
    double sum = 0;
    for (int j = 0; j < count_; ++j)
      for (int k = 0; k < count_; ++k)
        sum += a[static_cast<size_t>(j)] * gram_[static_cast<size_t>(j * count_ + k)] * b[static_cast<size_t>(k)];
    return sum;
  }
  // What rounding leaves below zero is zero.
  double norm(const Combined& a) const { return std::sqrt(std::max(0.0, dot(a, a))); }

  Combined zero() const { return Combined(static_cast<size_t>(count_)); }
  Combined model(int k, double factor) const {
    Combined one = zero();
    one[static_cast<size_t>(k)] = factor;
    return one;
  }

 private:
  std::span<const double> gram_;
  int count_;
};

inline void add(Combined& to, double factor, const Combined& what) {
  for (size_t k = 0; k < to.size(); ++k) to[k] += factor * what[k];
}
inline void scale(Combined& what, double factor) {
  for (double& coefficient : what) coefficient *= factor;
}

}  // namespace fk
