// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

#if defined(__clang__)
constexpr std::string_view kCompiler{"clang " __clang_version__};
#else
constexpr std::string_view kCompiler{"gcc " __VERSION__};
#endif

/// Parts that a build may leave out; this one has none of them.
constexpr std::array<std::string_view, 4> kComponents{"cuda", "etcd", "nixl", "signatures"};

}  // namespace

int run_version(const VersionOptions& options) {
  if (!options.json) {
    print(fmt::format("kvferry {} ({}, {})\n", KVFERRY_VERSION, KVFERRY_COMMIT, kCompiler));
    return kExitYes;
  }
  nlohmann::ordered_json components = nlohmann::ordered_json::object();
  for (const std::string_view component : kComponents) {
    components[std::string{component}] = false;
  }
  print_json({{"version", KVFERRY_VERSION},
              {"commit", KVFERRY_COMMIT},
              {"compiler", kCompiler},
              {"components", std::move(components)},
              {"agents", {{"shm", "built in"}}}});
  return kExitYes;
}

}  // namespace kvferry::tool
