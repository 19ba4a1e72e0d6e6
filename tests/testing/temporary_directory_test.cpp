// SPDX-License-Identifier: Apache-2.0
// Goal: a temporary directory is new, private, and gone afterwards with all that is in it.
// Method: make two, fill one, look.
#include "kvferry/testing/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kvferry::testing {
namespace {

TEST(TemporaryDirectory, IsPrivateAndRemoved) {
  std::string path;
  {
    const TemporaryDirectory one;
    const TemporaryDirectory two;
    EXPECT_NE(one.path(), two.path());
    path = one.path();
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
    std::filesystem::create_directory(path + "/inside");
    std::ofstream{path + "/inside/file"} << "text";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace kvferry::testing
