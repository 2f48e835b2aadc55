// coefficients.hpp: from the dot products of a tensor's models to a weight for each, as the method says.
#pragma once
#include <span>

#include "stream/job.hpp"

namespace fk {

// `products`: the upper triangle, row by row. Throws InvalidArgument, naming tensor and method.
std::vector<double> find_coefficients(const MergeCall& call, const Job& job, std::span<const double> products);

}  // namespace fk
