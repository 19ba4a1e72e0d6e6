# SPDX-License-Identifier: Apache-2.0
# What holds for the whole build. When kvferry is part of another project, that project decides.

if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Kind of build" FORCE)
endif()

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(KVFERRY_CCACHE ccache)
  mark_as_advanced(KVFERRY_CCACHE)
  if(KVFERRY_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${KVFERRY_CCACHE}")
  endif()
endif()

# Set for every target alike: a program in which only some parts are instrumented reports nonsense.
if(KVFERRY_SANITIZE)
  add_compile_options(-fsanitize=${KVFERRY_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KVFERRY_SANITIZE})
endif()
