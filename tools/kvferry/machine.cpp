// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include <sched.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace kvferry::tool {
namespace {

constexpr std::string_view kUnknown{"unknown"};

std::string text_of(const char* file) {
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  return text.str();
}

/// Whether `path` is `folder` or lies in it.
bool lies_in(std::string_view path, std::string_view folder) {
  return folder == "/" ||
         (path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/'));
}

}  // namespace

std::string processor_in(std::string_view cpuinfo) {
  constexpr std::string_view kKey{"model name"};
  const std::size_t key = cpuinfo.find(kKey);
  const std::size_t colon = key == std::string_view::npos ? key : cpuinfo.find(": ", key);
  if (colon == std::string_view::npos) {
    return std::string{kUnknown};
  }
  const std::size_t first = colon + 2;
  return std::string{cpuinfo.substr(first, cpuinfo.find('\n', first) - first)};
}

std::string file_system_in(std::string_view mounts, std::string_view path) {
  std::istringstream lines{std::string{mounts}};
  std::string line;
  std::string best_folder;
  std::string best{kUnknown};
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string device;
    std::string folder;
    std::string type;
    words >> device >> folder >> type;
    if (!type.empty() && lies_in(path, folder) && folder.size() >= best_folder.size()) {
      best_folder = folder;  // A later one lies above an earlier one at the same place.
      best = type;
    }
  }
  return best;
}

Machine machine_with(const std::string& directory) {
  Machine machine;
  machine.processor = processor_in(text_of("/proc/cpuinfo"));
  cpu_set_t mine;
  machine.processors = ::sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 0;
  utsname kernel{};
  machine.kernel = ::uname(&kernel) == 0 ? std::string{kernel.sysname} + " " + kernel.release
                                         : std::string{kUnknown};
  machine.directory = directory;
  std::error_code failure;
  const std::filesystem::path real = std::filesystem::canonical(directory, failure);
  machine.file_system =
      failure ? std::string{kUnknown} : file_system_in(text_of("/proc/self/mounts"), real.string());
  return machine;
}

}  // namespace kvferry::tool
