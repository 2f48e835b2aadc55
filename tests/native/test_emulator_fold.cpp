// test_emulator_fold.cpp: a method's own kernel, from the file that nvcc compiles, runs on the emulator.
#include "cuda/instantiate.cuh"
#include "methods/linear.hpp"
#include "on_device.hpp"

using namespace fk::test;

namespace {

// The mean of two models, weighted 1 and 3.
void check_fold() {
  using fk::Linear;
  const auto code = [](float value) { return static_cast<uint16_t>(fk::encode<fk::DType::bf16, float>(value)); };
  std::vector<uint16_t> low, high, expected;
  for (int i = 0; i < 100; ++i) {
    low.push_back(code(static_cast<float>(i)));
    high.push_back(code(static_cast<float>(-i)));
    expected.push_back(code(static_cast<float>(-i) / 2));
  }
  const OnDevice<uint16_t> first(low), second(high), out(low.size());
  using fk::DType;
  const OnDevice<fk::cuda::FoldModel> models(std::vector<fk::cuda::FoldModel>{
      {{first.get(), DType::bf16, true}, 0, 0, nullptr}, {{second.get(), DType::bf16, true}, 0, 0, nullptr}});
  const OnDevice<Linear::Model<float>> weights(std::vector<Linear::Model<float>>{{1}, {3}});
  const OnDevice<Linear::Shared<float>> shared(std::vector<Linear::Shared<float>>{{4}});
  fk::cuda::FoldTensor tensor{};
  tensor.out = {out.get(), DType::bf16, true};
  tensor.n = 100;
  tensor.count = 2;
  tensor.models = models.get();
  tensor.parameters = weights.get();
  tensor.shared = shared.get();
  const OnDevice<fk::cuda::FoldTensor> tensors(std::vector<fk::cuda::FoldTensor>{tensor});
  const int format = static_cast<int>(DType::bf16);
  fk::cuda::launch_fold<Linear>({.f64 = false, .format = format, .count = 2, .by_vector = false, .has_base = false},
                                {tensors.get(), 1, 1}, {stream(), 4});
  CHECK_CUDA(cudaStreamSynchronize(stream()));
  CHECK(out.read() == expected, "linear");
}

}  // namespace

int main() { check_fold(); }
