# SPDX-License-Identifier: Apache-2.0
include(GoogleTest)

# Adds a folder of the project.
function(kvferry_add_folder folder)
  add_subdirectory("${PROJECT_SOURCE_DIR}/${folder}" "${PROJECT_BINARY_DIR}/${folder}")
endfunction()

# What every target of ours is compiled with; never handed on to who links with us.
function(kvferry_set_up_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(KVFERRY_DEVELOPER)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Werror)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      target_compile_options(${target} PRIVATE -Wthread-safety)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      # g++ 12 sees an overlap in `"text" + string` that cannot be (its bug 105651).
      target_compile_options(${target} PRIVATE -Wno-restrict)
    endif()
  endif()
endfunction()

# kvferry_add_library(NAME [HDR_ROOT <dir>] HDRS <file>... SRCS <file>... [DEPS <target>...]
#                     [PRIVATE_DEPS <target>...] [NOT_INSTALLED])
# Makes the static library kvferry_<NAME>, alias kvferry::<NAME>, part of kvferry::kvferry and of
# the installed package unless NOT_INSTALLED. HDRS are public headers relative to HDR_ROOT (default
# include/ of the project), SRCS relative to the calling folder. DEPS are what the public headers
# need; PRIVATE_DEPS only the sources.
function(kvferry_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NOT_INSTALLED" "HDR_ROOT" "HDRS;SRCS;DEPS;PRIVATE_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "kvferry_add_library(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_HDR_ROOT)
    set(arg_HDR_ROOT "${PROJECT_SOURCE_DIR}/include")
  endif()
  list(TRANSFORM arg_HDRS PREPEND "${arg_HDR_ROOT}/")

  set(target kvferry_${name})
  add_library(${target} STATIC ${arg_SRCS})
  add_library(kvferry::${name} ALIAS ${target})
  kvferry_set_up_target(${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
                                             VERIFY_INTERFACE_HEADER_SETS ON)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${arg_HDR_ROOT}" FILES ${arg_HDRS})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${target} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
  if(NOT arg_NOT_INSTALLED)
    target_link_libraries(kvferry INTERFACE ${target})
    set_property(GLOBAL APPEND PROPERTY KVFERRY_INSTALLED_TARGETS ${target})
    set_property(GLOBAL APPEND PROPERTY KVFERRY_LINKED ${arg_DEPS} ${arg_PRIVATE_DEPS})
  endif()
endfunction()

# With sanitizers a test takes half of the time to compile without optimization, and less when what
# all include is read once. (With optimization g++ 12 has false warnings about precompiled headers.)
function(kvferry_compile_sanitized_test target)
  if(NOT TARGET kvferry_test_headers)
    add_library(kvferry_test_headers OBJECT "${PROJECT_SOURCE_DIR}/cmake/test_headers.cpp")
    kvferry_set_up_target(kvferry_test_headers)
    target_compile_options(kvferry_test_headers PRIVATE -O0)
    target_link_libraries(kvferry_test_headers PRIVATE GTest::gmock)
    target_precompile_headers(kvferry_test_headers PRIVATE
                              <gmock/gmock.h> <gtest/gtest.h> <chrono> <functional> <thread>)
  endif()
  target_compile_options(${target} PRIVATE -O0)
  target_precompile_headers(${target} REUSE_FROM kvferry_test_headers)
endfunction()

# kvferry_add_test(NAME SRCS <file>... [DEPS <target>...] [LABELS <label>...] [TIMEOUT_S <seconds>])
# Makes one GoogleTest program, kvferry_<NAME>_test, of a folder under tests/, and one ctest test
# of each of its tests, named "Suite.Name". LABELS default to unit.
function(kvferry_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT_S" "SRCS;DEPS;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "kvferry_add_test(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT_S)
    set(arg_TIMEOUT_S 120)
  endif()

  set(target kvferry_${name}_test)
  add_executable(${target} ${arg_SRCS})
  kvferry_set_up_target(${target})
  set_target_properties(${target} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/tests")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  if(KVFERRY_SANITIZE)
    kvferry_compile_sanitized_test(${target})
  else()
    # Tests are compiled once and run once; -O1 takes a third off the time of the former.
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
  endif()
  target_compile_definitions(${target} PRIVATE KVFERRY_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                               KVFERRY_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${target} PRIVATE ${arg_DEPS} GTest::gmock_main)
  # At the time of the run: a build on a busy machine must not fail for slow start of a program.
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       TEST_LIST ${target}_tests PROPERTIES TIMEOUT ${arg_TIMEOUT_S})
  # gtest_discover_tests cannot pass on a property that is a list; ctest reads this file after it.
  set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${target}_labels.cmake")
  file(CONFIGURE OUTPUT "${labels_file}" @ONLY CONTENT [=[
if(@target@_tests)
  set_tests_properties(${@target@_tests} PROPERTIES LABELS "@arg_LABELS@")
endif()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
endfunction()
