// test_emulator_ops.cpp: a GPU's kernels of single operations, emulated, give the processor's bits in whatever order
// the threads run, from memory that ends where the tensors end.
#include <algorithm>

#include "cuda/ops/operations.hpp"
#include "on_device.hpp"
#include "ops_cases.hpp"

using namespace fk;
using namespace fk::test;

namespace {

using Bytes = OnDevice<char>;

// A case with its tensors in the device's memory.
class Moved {
 public:
  explicit Moved(const Case& one) : one_(one), signs_(one.signs) {
    for (size_t i = 0; i < one.inputs.tensors.size(); ++i) {
      const Exact& memory = one.inputs.memory[i];
      memory_.emplace_back(std::vector<char>(memory.data(), memory.data() + memory.size()));
      tensors_.push_back({memory_.back().get(), one.inputs.tensors[i].dtype});
    }
  }
  std::span<const Tensor> models() const { return std::span(tensors_).subspan(1); }
  ops::Group group() const { return {models(), one_.with_base ? tensors_[0] : Tensor{nullptr, DType::f32}, one_.f64}; }
  const int8_t* signs() const { return signs_.get(); }

 private:
  const Case& one_;
  std::deque<Bytes> memory_;
  std::vector<Tensor> tensors_;
  OnDevice<int8_t> signs_;
};

// Calls an operation with an execution whose workspace lives until the stream has done all.
void execute(const std::function<void(const ops::DeviceExecution&)>& operation) {
  std::deque<Bytes> workspaces;
  operation({0, reinterpret_cast<uintptr_t>(stream()), [&](int64_t bytes) {
               return workspaces.emplace_back(std::vector<char>(static_cast<size_t>(bytes), '\xa5')).get();
             }});
  CHECK_CUDA(cudaStreamSynchronize(stream()));
}

template <class T>
std::vector<Cut> read_cuts(const OnDevice<T>& thresholds, const OnDevice<int64_t>& last) {
  const std::vector<T> numbers = thresholds.read();
  const std::vector<int64_t> indices = last.read();
  std::vector<Cut> cuts;
  for (size_t row = 0; row < numbers.size(); ++row)
    cuts.push_back(ops::cut_at(numbers[row], indices[row], sizeof(T) == 8));
  return cuts;
}

template <class T>  // the compute type of the first model
Results results_on_device(const Case& one, const Moved& moved) {
  const int64_t n = one.rows.elements();
  const Tensor& first = moved.models()[0];
  Results found;
  const auto write = [&](const char* name, int64_t bytes, const auto& operation) {
    const Bytes out(static_cast<size_t>(bytes));
    execute([&](const ops::DeviceExecution& how) { operation(static_cast<void*>(out.get()), how); });
    const std::vector<char> written = out.read();
    found.emplace_back(name, std::string(written.begin(), written.end()));
  };
  using How = ops::DeviceExecution;
  const OnDevice<T> thresholds(static_cast<size_t>(one.rows.count));
  const OnDevice<int64_t> last(static_cast<size_t>(one.rows.count));
  execute([&](const How& how) { cuda::find_cuts(first, one.rows, one.density, thresholds.get(), last.get(), how); });
  found.emplace_back("find_cuts", bytes_of(read_cuts(thresholds, last)));
  write("keep_above", n * size_of(first.dtype),
        [&](void* out, const How& how) { cuda::keep_above(first, one.rows, thresholds.get(), last.get(), out, how); });
  write("keep_at_random", n * size_of(first.dtype),
        [&](void* out, const How& how) { cuda::keep_at_random(first, n, one.drawing(), out, how); });
  const ops::Weights weights{one.weights};
  ops::Weights votes;
  for (const double weight : one.weights) votes.here.push_back((weight > 0) - (weight < 0));
  write("elect_by_sum", n, [&](void* out, const How& how) {
    cuda::elect_by_sum(moved.models(), weights, n, one.f64, static_cast<int8_t*>(out), how);
  });
  write("elect_by_count", n, [&](void* out, const How& how) {
    cuda::elect_by_count(moved.models(), votes, n, one.f64, static_cast<int8_t*>(out), how);
  });
  write("disjoint_mean", n * size_of(one.out_dtype()), [&](void* out, const How& how) {
    cuda::disjoint_mean(moved.models(), weights, moved.signs(), n, out, one.out_dtype(), how);
  });
  const auto count = static_cast<int64_t>(one.models().size());
  write("gram_matrix", count * count * 8,
        [&](void* out, const How& how) { cuda::gram_matrix(moved.group(), n, static_cast<double*>(out), how); });
  write("dot_products", count * 8, [&](void* out, const How& how) {
    cuda::dot_products(first, moved.group(), n, static_cast<double*>(out), how);
  });
  for (const int p : {1, 2})
    write(p == 1 ? "norms, p 1" : "norms, p 2", count * one.rows.count * 8,
          [&](void* out, const How& how) { cuda::norms(moved.group(), one.rows, p, static_cast<double*>(out), how); });
  return found;
}

void agree(Random& random, Rows rows, bool f64) {
  const Case one = draw_case(random, rows, f64);
  const Results expected = results(one, {Isa::scalar, 1});
  const Moved moved(one);
  const bool wide = one.models()[0].dtype == DType::f64;
  in_every_order([&](const std::string& order) {
    const Results found = wide ? results_on_device<double>(one, moved) : results_on_device<float>(one, moved);
    const std::string names = differing(found, expected);
    CHECK(names.empty(), names, ": ", rows.count, " rows of ", rows.length, ", ", one.models().size(), " models, ",
          info(one.out_dtype()).code, ", ", order);
  });
}

}  // namespace

int main() {
  Random random(1);
  for (const bool f64 : {false, true, false})
    for (const Rows rows : {Rows{1, 0}, {0, 5}, {3, 0}, {1, 1}, {1, 63}, {7, 9}, {2, 4096}, {3, 4097}})
      agree(random, rows, f64);
  for (const Rows rows : {Rows{1, 40001}, {3, 16411}}) agree(random, rows, false);  // cut in several passes
}
