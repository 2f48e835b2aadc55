// rank_average.hpp: the average of an element's values over the models, without the smallest and the largest of them.
//
// Values are ordered by number, -0 below +0, equals by the order of the models; those that remain are added in the
// order of the models and divided by their number. A NaN in any model is a NaN.
#pragma once
#include "core/method.hpp"

namespace fk {

struct RankAverage {
  template <class T>
  struct Shared {
    IntOf<T> dropped;  // at either end
    T remaining;
  };

  template <class V, class X>
  static FK_FN V combine(const X& x, int count, const Shared<Element<V>>& shared) {
    const Int<V> first = splat_int<V>(shared.dropped);
    const Int<V> last = splat_int<V>(static_cast<IntOf<Element<V>>>(count - 1 - shared.dropped));
    const V nothing = -splat<V>(0);  // added to any number, leaves it as it is
    V total = nothing, unordered = nothing;
    FK_UNROLL
    for (int k = 0; k < count; ++k) {
      const V value = x(k);
      const Int<V> key = order(value);
      Int<V> rank = splat_int<V>(0);
      FK_UNROLL
      for (int j = 0; j < count; ++j) {
        if (j == k) continue;
        const Int<V> other = order(V(x(j)));
        rank = rank + ones(j < k ? other <= key : other < key);
      }
      const V kept = select((rank >= first) & (rank <= last), value, nothing);
      total = total + kept;
      unordered = select(value == value, unordered, value);
    }
    return select(unordered == unordered, V(total / shared.remaining), unordered);
  }

  template <class T>
  static void drop(int dropped, int count, Shared<T>& shared) {
    shared.dropped = dropped;
    shared.remaining = static_cast<T>(count - 2 * dropped);
  }

 private:
  // The numbers' order as that of integers.
  template <class V>
  static FK_FN Int<V> order(const V& value) {
    const Int<V> bits = bits_as<Int<V>>(value);
    return bits ^ ((bits >> (8 * sizeof(Element<V>) - 1)) & std::numeric_limits<IntOf<Element<V>>>::max());
  }
  template <class M>
  static FK_FN auto ones(const M& condition) {
    if constexpr (std::is_same_v<M, bool>)
      return int(condition);
    else
      return -condition;  // a true lane is -1
  }
};

}  // namespace fk
