// check.hpp: what a native test says before it ends the process: where, what did not hold, and in which case.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

namespace fk::test {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

[[noreturn]] inline void fail(const char* file, int line, const char* condition, const std::string& about) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n  %s\n", file, line, condition, about.c_str());
  std::_Exit(1);
}

// The text of the Error that action() throws. Anything else it throws goes on, nothing thrown fails.
template <class Error, class Action>
std::string error_of(const std::string& about, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  fail(__FILE__, __LINE__, "an error is raised", about);
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace fk::test

// CHECK(condition, parts...): the parts, joined, say which case it was.
#define CHECK(condition, ...) \
  (condition) ? void() : fk::test::fail(__FILE__, __LINE__, #condition, fk::test::text(__VA_ARGS__))
