# SPDX-License-Identifier: Apache-2.0
# Every package that is not ours, found in one place.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(xxHash REQUIRED)

# Components that a build may leave out: AUTO takes what is there, ON insists, OFF leaves it out.
set(KVFERRY_TRUST AUTO CACHE STRING "Signatures, with libsodium: AUTO, ON or OFF")
set_property(CACHE KVFERRY_TRUST PROPERTY STRINGS AUTO ON OFF)
set(KVFERRY_HAS_TRUST OFF)
if(NOT KVFERRY_TRUST MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "KVFERRY_TRUST is ${KVFERRY_TRUST}, not AUTO, ON or OFF")
elseif(NOT KVFERRY_TRUST STREQUAL "OFF")
  set(required QUIET)
  if(KVFERRY_TRUST STREQUAL "ON")
    set(required REQUIRED)
  endif()
  find_package(Sodium 1.0.18 ${required})  # Debian 12's, and the oldest that the tests have seen.
  set(KVFERRY_HAS_TRUST ${Sodium_FOUND})
endif()
if(KVFERRY_HAS_TRUST)
  message(STATUS "Signatures: in (libsodium ${Sodium_VERSION})")
else()
  message(STATUS "Signatures: left out (KVFERRY_TRUST=${KVFERRY_TRUST}; they need libsodium-dev)")
endif()

if(KVFERRY_BUILD_TOOL)
  find_package(CLI11 2.1 REQUIRED)
endif()
if(KVFERRY_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
endif()
