// fp_environment.hpp: round to nearest, subnormals kept, for as long as the object lives; then as it was.
#pragma once

namespace fk {

// A host program (or a library it loaded with -ffast-math) may have set other modes in this thread.
class FpEnvironment {
 public:
  FpEnvironment() {
#if defined(__x86_64__)
    saved_ = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
#endif
  }
  ~FpEnvironment() {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(saved_);
#endif
  }
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;

 private:
  [[maybe_unused]] unsigned saved_ = 0;
};

}  // namespace fk
