// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::bench {

/// A shell script in a file of its own, in place of the program that cargo builds.
class Script {
 public:
  explicit Script(const std::string& body) : path_{directory_.path() + "/program"} {
    std::ofstream{path_} << "#!/bin/sh\n" << body << '\n';
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  testing::TemporaryDirectory directory_;
  std::string path_;
};

}  // namespace kvferry::bench
