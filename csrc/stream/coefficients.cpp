// coefficients.cpp: fills in the matrix and names the tensor where the method objects.
#include "stream/coefficients.hpp"

namespace fk {

std::vector<double> find_coefficients(const MergeCall& call, const Job& job, std::span<const double> products) {
  const int count = job.count();
  std::vector<double> matrix(static_cast<size_t>(count * count)), weights(static_cast<size_t>(count));
  const double* product = products.data();
  for (int j = 0; j < count; ++j)
    for (int k = j; k < count; ++k, ++product)
      matrix[static_cast<size_t>(j * count + k)] = matrix[static_cast<size_t>(k * count + j)] = *product;
  try {
    call.method->coefficients(matrix, call.values_of(job), weights);
  } catch (const InvalidArgument& error) {
    throw InvalidArgument("tensor '" + job.name + "': " + error.what() + " (method '" + call.method->info->name + "')");
  }
  return weights;
}

}  // namespace fk
