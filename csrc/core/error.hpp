// error.hpp: what can go wrong, by the kind of person who can mend it.
#pragma once
#include <stdexcept>
#include <string>

namespace fk {

struct InvalidArgument : std::invalid_argument {  // the caller asked for something that makes no sense: ValueError
  using std::invalid_argument::invalid_argument;
};
struct Unsupported : std::logic_error {  // it makes sense, but this build cannot: NotImplementedError
  using std::logic_error::logic_error;
};
struct IoError : std::runtime_error {  // the operating system refused: OSError with its number
  IoError(int number, const std::string& what) : std::runtime_error(what), number(number) {}
  int number;
};
struct DeviceError : std::runtime_error {  // a device is missing or failed: fusion_kernels.DeviceError
  using std::runtime_error::runtime_error;
};
struct Cancelled : std::runtime_error {  // the observer asked to stop; never reaches a user
  Cancelled() : std::runtime_error("cancelled") {}
};

}  // namespace fk
