# SPDX-License-Identifier: Apache-2.0
# Installs the libraries, their public headers and the package that find_package(kvferry) reads.
include(CMakePackageConfigHelpers)

get_property(targets GLOBAL PROPERTY KVFERRY_INSTALLED_TARGETS)
install(TARGETS kvferry ${targets} EXPORT kvferryTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvferry")
install(EXPORT kvferryTargets NAMESPACE kvferry:: DESTINATION "${package_dir}")

# A static library hands even its private libraries on to the linker, so the consumer needs them.
get_property(linked GLOBAL PROPERTY KVFERRY_LINKED)
set(KVFERRY_FIND_DEPENDENCIES "")
foreach(pair IN ITEMS "Threads::Threads|Threads" "fmt::fmt|fmt"
                      "nlohmann_json::nlohmann_json|nlohmann_json" "xxhash::xxhash|xxHash"
                      "uring::uring|Uring"
                      "protobuf::libprotobuf-lite|Protobuf" "sodium::sodium|Sodium")
  string(REPLACE "|" ";" pair "${pair}")
  list(GET pair 0 target)
  list(GET pair 1 package)
  if(target IN_LIST linked)
    string(APPEND KVFERRY_FIND_DEPENDENCIES "find_dependency(${package})\n")
  endif()
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/kvferryConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/kvferryConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/kvferryConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/kvferryConfig.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindSodium.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindUring.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindxxHash.cmake"
              "${PROJECT_BINARY_DIR}/kvferryConfigVersion.cmake"
        DESTINATION "${package_dir}")
