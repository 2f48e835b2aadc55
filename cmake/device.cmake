# device: the GPU backend. Its kernels are compiled by nvcc or, to be tested without a GPU, by the host's compiler.
#
#   AUTO      as ON where nvcc is found, else OFF
#   ON        for the architecture FK_CUDA_ARCH; the CUDA runtime is linked statically
#   EMULATED  against tests/native/emulator: a device "emulated" that runs every thread of a kernel on the CPU
#   OFF       no device
set(FK_CUDA "AUTO" CACHE STRING "GPU backend: AUTO, ON, OFF or EMULATED")
set_property(CACHE FK_CUDA PROPERTY STRINGS AUTO ON OFF EMULATED)
set(FK_CUDA_ARCH "90" CACHE STRING "GPU architecture to compile for, as nvcc's sm_ number, or 'release'")

set(device_backend ${FK_CUDA})
if(device_backend STREQUAL "AUTO")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(device_backend ON)
  else()
    set(device_backend OFF)
  endif()
endif()

add_library(fk_device OBJECT)
target_link_libraries(fk_device PUBLIC fk_options)
set_target_properties(fk_device PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)
if(device_backend STREQUAL "OFF")
  target_sources(fk_device PRIVATE csrc/ops/no_device_ops.cpp csrc/stream/no_device.cpp)
  return()
endif()

target_sources(fk_device PRIVATE
  csrc/cuda/backend.cpp
  csrc/cuda/fold_merge.cpp
  csrc/cuda/gram_merge.cpp
  csrc/cuda/groups.cpp
  csrc/cuda/kernels.cu
  csrc/cuda/memory.cpp
  csrc/cuda/ops/combination.cpp
  csrc/cuda/ops/device_ops.cpp
  csrc/cuda/ops/election.cpp
  csrc/cuda/ops/products.cpp
  csrc/cuda/ops/sparsify.cpp
  csrc/cuda/ops/threshold.cpp
  csrc/cuda/tile_scan.cpp)
set(device_kernels csrc/cuda/kernels.cu csrc/cuda/ops/kernels.cu)
foreach(path IN LISTS methods)
  get_filename_component(METHOD ${path} NAME_WE)
  configure_file(cmake/cuda_method.cu.in gen/cuda/${METHOD}.cu @ONLY)
  list(APPEND device_kernels ${CMAKE_CURRENT_BINARY_DIR}/gen/cuda/${METHOD}.cu)
endforeach()
target_sources(fk_device PRIVATE ${device_kernels})

if(device_backend STREQUAL "EMULATED")
  file(GLOB emulator CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/native/emulator/*.cpp)
  target_sources(fk_device PRIVATE ${emulator})
  set_source_files_properties(${device_kernels} PROPERTIES LANGUAGE CXX)
  target_include_directories(fk_device BEFORE PRIVATE tests/native/emulator)
  target_compile_definitions(fk_device PRIVATE FK_EMULATED)
  target_compile_options(fk_device PRIVATE -O1)
else()
  set(architectures ${FK_CUDA_ARCH}-real)
  if(FK_CUDA_ARCH STREQUAL "release")
    set(architectures 80-real 90-real 120)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${architectures})
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  set_target_properties(fk_device PROPERTIES CUDA_STANDARD 20 CUDA_VISIBILITY_PRESET hidden
    CUDA_ARCHITECTURES "${architectures}")
  target_compile_options(fk_device PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;--expt-relaxed-constexpr;-Werror=all-warnings>")
  target_link_libraries(fk_device PUBLIC CUDA::cudart_static)
endif()
