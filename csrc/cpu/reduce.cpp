#include "cpu/reduce.hpp"

namespace fk {
namespace {

constexpr int kLanes = 64;
constexpr int64_t kRow = 512;

template <int W>
struct Doubles {
  typedef double V __attribute__((vector_size(8 * W)));
};
template <>
struct Doubles<1> {
  using V = double;
};

// Adds the products of two rows of n elements (a multiple of 64) to 64 sums.
template <class V>
FK_FN void add_products(const Element<V>* a, const Element<V>* b, int64_t n, double* sums) {
  constexpr int W = lane_count<V>;
  using D = typename Doubles<W>::V;
  for (int lane = 0; lane < kLanes; lane += W) {
    D sum = load_unaligned<D>(sums + lane);
    for (int64_t i = lane; i < n; i += kLanes)
      sum += convert<D>(load_unaligned<V>(a + i)) * convert<D>(load_unaligned<V>(b + i));
    memcpy(sums + lane, &sum, sizeof sum);
  }
}

template <class V>
FK_FN void gram_rows(const GramCall& call) {
  using T = Element<V>;
  T* const rows = static_cast<T*>(call.scratch);
  double* const sums = reinterpret_cast<double*>(static_cast<char*>(call.scratch) + call.count * kRow * sizeof(double));
  memset(sums, 0, sizeof(double) * kLanes * pair_count(call.count));
  for (int64_t first = 0; first < call.n; first += kRow) {
    const int64_t n = call.n - first < kRow ? call.n - first : kRow;
    const int64_t padded = (n + kLanes - 1) / kLanes * kLanes;
    for (int k = 0; k < call.count; ++k) {
      T* const row = rows + k * kRow;
      memset(row, 0, padded * sizeof(T));
      decode_any<V>(call.dtypes[k], static_cast<const char*>(call.models[k]) + first * size_of(call.dtypes[k]), row, n);
    }
    double* pair = sums;
    for (int j = 0; j < call.count; ++j)
      for (int k = j; k < call.count; ++k, pair += kLanes)
        add_products<V>(rows + j * kRow, rows + k * kRow, padded, pair);
  }
  for (int pair = 0; pair < pair_count(call.count); ++pair) {
    double* const lanes = sums + pair * kLanes;
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    call.sums[pair] = lanes[0];
  }
}
FK_PER_ISA(gram_table, void, (const GramCall& call), gram_rows, (call));

}  // namespace

void gram_block(const GramCall& call, bool f64, Isa isa) {
  f64 ? gram_rows<double>(call) : gram_table[static_cast<int>(isa)](call);
}

}  // namespace fk
