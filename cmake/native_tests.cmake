# native_tests: the engine and its native tests under sanitizers, without Python. One build directory a sanitizer.
#
# Optimised lightly, and with calls instead of inline checks, to compile in minutes. UndefinedBehaviorSanitizer's checks
# of pointers are left out of the kernels: AddressSanitizer sees the same accesses, and they triple the compiler's time.
set(FK_SANITIZER "asan" CACHE STRING "asan (and UndefinedBehaviorSanitizer) or tsan")
enable_testing()

if(FK_SANITIZER STREQUAL "tsan")
  set(watch -fsanitize=thread)
else()
  set(watch -fsanitize=address,undefined -fno-sanitize-recover=all)
endif()
set(light -O1 -g1 -fno-omit-frame-pointer --param=asan-instrumentation-with-call-threshold=0)
# Bits of floats wrap round by design, in kernels. Sizes, ranks and offsets must not, and they are the engine's.
target_compile_options(fk_engine PRIVATE ${watch} ${light} -fno-wrapv)
target_precompile_headers(fk_engine PRIVATE <functional> <map> <memory> <mutex> <string> csrc/core/registry.hpp)
set(engine fk_engine fk_device)  # first: of what several files define, the version for any processor is linked
foreach(isa scalar base avx2 avx512)
  target_compile_options(fk_kernels_${isa} PRIVATE ${watch} ${light})
  target_precompile_headers(fk_kernels_${isa} PRIVATE csrc/core/method.hpp csrc/cpu/isa.hpp)
  list(APPEND engine fk_kernels_${isa})
  if(FK_SANITIZER STREQUAL "tsan")
    # Which thread touches what does not depend on the width of the lanes.
    set_property(TARGET fk_kernels_${isa} PROPERTY COMPILE_DEFINITIONS FK_ISA=${isa} FK_WIDTH=1)
  else()
    target_compile_options(fk_kernels_${isa} PRIVATE -fno-sanitize=alignment,null,object-size,pointer-overflow)
  endif()
endforeach()

add_library(fk_native_batch OBJECT tests/native/batch.cpp)
target_link_libraries(fk_native_batch PUBLIC fk_engine)
target_compile_options(fk_native_batch PUBLIC ${watch} ${light})
target_precompile_headers(fk_native_batch PUBLIC tests/native/batch.hpp)
target_link_options(fk_native_batch PUBLIC ${watch})

# ThreadSanitizer of GCC 12 cannot start where the kernel randomises addresses further than it knows.
set(start)
if(FK_SANITIZER STREQUAL "tsan" AND EXISTS /proc/sys/vm/mmap_rnd_bits)
  file(READ /proc/sys/vm/mmap_rnd_bits random_bits)
  if(random_bits GREATER 28)
    set(start setarch ${CMAKE_SYSTEM_PROCESSOR} -R)
  endif()
endif()

if(FK_SANITIZER STREQUAL "tsan")
  set(native_tests ops pipeline selector)
else()
  set(native_tests methods ops pipeline files selector formats)
endif()
if(NOT FK_SANITIZER STREQUAL "tsan")  # which would have to be told of every switch between stacks
  # Kernels need no engine, and the files of kernels find the emulator's <cuda_runtime.h> before any other.
  file(GLOB emulator CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/native/emulator/*.cpp)
  add_library(fk_emulator OBJECT ${emulator})
  target_include_directories(fk_emulator BEFORE PUBLIC tests/native/emulator csrc)
  target_compile_features(fk_emulator PUBLIC cxx_std_20)
  target_compile_options(fk_emulator PUBLIC ${watch} ${light} -ffp-contract=off -Wall -Wextra -Wno-psabi
    $<$<BOOL:${FK_WERROR}>:-Werror>)
  target_link_options(fk_emulator PUBLIC ${watch})
  target_link_libraries(fk_emulator PUBLIC Threads::Threads)
  set_target_properties(fk_emulator PROPERTIES POSITION_INDEPENDENT_CODE ON)
  foreach(name emulator emulator_faults emulator_fold)
    add_executable(test_${name} tests/native/test_${name}.cpp)
    target_link_libraries(test_${name} PRIVATE fk_emulator)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endforeach()
  if(device_backend STREQUAL "OFF")  # else the engine's own backend holds these files
    set(kernels csrc/cuda/kernels.cu csrc/cuda/ops/kernels.cu)
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
    add_executable(test_emulator_ops tests/native/test_emulator_ops.cpp ${kernels} csrc/cuda/memory.cpp
      csrc/cuda/ops/election.cpp csrc/cuda/ops/products.cpp csrc/cuda/ops/sparsify.cpp csrc/cuda/ops/threshold.cpp)
    target_link_libraries(test_emulator_ops PRIVATE fk_emulator ${engine})
    add_test(NAME emulator_ops COMMAND test_emulator_ops)
    set_tests_properties(emulator_ops PROPERTIES TIMEOUT 600)
  endif()
endif()
foreach(name IN LISTS native_tests)
  add_executable(test_${name} tests/native/test_${name}.cpp)
  target_link_libraries(test_${name} PRIVATE fk_native_batch ${engine})
  add_test(NAME ${name} COMMAND ${start} $<TARGET_FILE:test_${name}>)
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endforeach()
