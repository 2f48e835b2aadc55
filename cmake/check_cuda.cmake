# check_cuda: every method's file compiles for a GPU. Compile only; nothing is linked or run.
find_program(FK_NVCC nvcc)
if(NOT FK_NVCC)
  return()
endif()
set(FK_CUDA_ARCH "90" CACHE STRING "GPU architecture to compile for, as nvcc's sm_ number")
file(GLOB cuda_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/csrc/core/*.hpp
  ${CMAKE_CURRENT_SOURCE_DIR}/csrc/methods/parts/*.hpp ${CMAKE_CURRENT_SOURCE_DIR}/csrc/cuda/*.cuh)
set(cuda_objects)
foreach(path IN LISTS methods)
  get_filename_component(METHOD ${path} NAME_WE)
  configure_file(cmake/cuda_method.cu.in gen/cuda/${METHOD}.cu @ONLY)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/gen/cuda/${METHOD}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${FK_NVCC} -std=c++20 -arch=sm_${FK_CUDA_ARCH} --fmad=false --expt-relaxed-constexpr -Werror all-warnings
      -ccbin ${CMAKE_CXX_COMPILER} -I ${CMAKE_CURRENT_SOURCE_DIR}/csrc
      -c ${CMAKE_CURRENT_BINARY_DIR}/gen/cuda/${METHOD}.cu -o ${object}
    DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/gen/cuda/${METHOD}.cu ${path} ${cuda_headers}
    COMMENT "Compiling ${METHOD} for sm_${FK_CUDA_ARCH}")
  list(APPEND cuda_objects ${object})
endforeach()
add_custom_target(check_cuda DEPENDS ${cuda_objects})
