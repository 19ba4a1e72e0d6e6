# SPDX-License-Identifier: Apache-2.0
# Every package that is not ours, found in one place.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(xxHash REQUIRED)
if(KVFERRY_BUILD_TOOL)
  find_package(CLI11 2.1 REQUIRED)
endif()
if(KVFERRY_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
endif()
