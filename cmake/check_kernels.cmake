# check_kernels: the files compiled for one instruction set define their own kernels and no shared (weak) function.
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} --defined-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* W [^\n]*" weak "${symbols}")
  if(weak)
    message(FATAL_ERROR "${object} emits shared functions, encoded for its instruction set:\n${weak}")
  endif()
endforeach()
file(TOUCH ${STAMP})
