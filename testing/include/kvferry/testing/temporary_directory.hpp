// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace kvferry::testing {

/// A new, empty directory that only this user may enter; removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace kvferry::testing
