// SPDX-License-Identifier: Apache-2.0
#include "kvferry/testing/temporary_directory.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "kvferry/base/assert.hpp"

namespace kvferry::testing {

TemporaryDirectory::TemporaryDirectory()
    : path_{(std::filesystem::temp_directory_path() / "kvferry_XXXXXX").string()} {
  KVFERRY_ASSERT(mkdtemp(path_.data()) != nullptr, "no temporary directory");
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // What cannot be removed stays; a test has nobody to tell.
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace kvferry::testing
