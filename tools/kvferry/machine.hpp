// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace kvferry::tool {

/// On what something was measured; what cannot be found out is "unknown".
struct Machine {
  std::string processor;    ///< the model's name
  int processors{0};        ///< that this process may run on
  std::string kernel;       ///< "Linux 6.1.0"
  std::string directory;    ///< in which files are
  std::string file_system;  ///< of that: "ext4"
};

[[nodiscard]] Machine machine_with(const std::string& directory);

/// The name of the processor in the text of /proc/cpuinfo.
[[nodiscard]] std::string processor_in(std::string_view cpuinfo);

/// The type of the file system that `path`, which is absolute and without links, lies in, from the
/// text of /proc/self/mounts.
[[nodiscard]] std::string file_system_in(std::string_view mounts, std::string_view path);

}  // namespace kvferry::tool
