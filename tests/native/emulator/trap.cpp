// trap.cpp: the handler of segmentation faults.
#include "trap.h"

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "guarded.h"
#include "scheduler.h"

namespace emulator {
namespace {

enum class Access { none, reads, writes, accesses };

constexpr size_t kHandlerStackBytes = 64 * 1024;
constexpr uintptr_t kLowestBytes = 64 * 1024;  // the system gives nobody the pages round a null pointer
alignas(16) std::byte handler_stack[kHandlerStackBytes];

bool is_set = false;
pthread_t runner;
int handlers = 0;
struct sigaction previous_action;
stack_t previous_stack;
Access access = Access::none;
const void* address = nullptr;

Access access_of([[maybe_unused]] const void* context) {
#if defined(__x86_64__)
  constexpr greg_t write_bit = 2;
  const auto* state = static_cast<const ucontext_t*>(context);
  return state->uc_mcontext.gregs[REG_ERR] & write_bit ? Access::writes : Access::reads;
#else
  return Access::accesses;
#endif
}

bool is_ours(const siginfo_t& fault) {
  if (!is_set || !pthread_equal(runner, pthread_self())) return false;
  if (fault.si_code != SEGV_MAPERR && fault.si_code != SEGV_ACCERR) return false;  // no address is known
  return reinterpret_cast<uintptr_t>(fault.si_addr) < kLowestBytes || scheduler().is_stack_guard(fault.si_addr) ||
         find_buffer(fault.si_addr);
}

void handle(int, siginfo_t* fault, void* context) {
  if (!is_ours(*fault)) {
    sigaction(SIGSEGV, &previous_action, nullptr);  // the instruction is run again, and faults there
    return;
  }
  is_set = false;
  access = access_of(context);
  address = fault->si_addr;
  scheduler().abandon(cudaErrorIllegalAddress);  // the signal stays unblocked: see SA_NODEFER
}

}  // namespace

TrapHandler::TrapHandler() {
  if (handlers++ > 0) return;
  stack_t stack{};
  stack.ss_sp = handler_stack;
  stack.ss_size = kHandlerStackBytes;
  sigaltstack(&stack, &previous_stack);
  struct sigaction action{};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &previous_action);
}

TrapHandler::~TrapHandler() {
  if (--handlers > 0) return;
  sigaction(SIGSEGV, &previous_action, nullptr);
  sigaltstack(&previous_stack, nullptr);
}

void set_trap(bool set) {
  is_set = set;
  runner = pthread_self();
}

std::string describe_trap() {
  static constexpr const char* kVerbs[] = {"", "reads", "writes", "accesses"};
  const Access was = std::exchange(access, Access::none);
  if (was == Access::none) return {};
  const std::string verb = kVerbs[static_cast<int>(was)];
  if (reinterpret_cast<uintptr_t>(address) < kLowestBytes) return verb + " through a null pointer";
  if (scheduler().is_stack_guard(address)) return "needs more than the stack of a thread, 64 KiB";
  return verb + " " + describe_address(address);
}

}  // namespace emulator
