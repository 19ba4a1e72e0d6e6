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

/// A part that a build may leave out.
struct Component {
  std::string_view name;
  bool is_in;
};
constexpr std::array<Component, 4> kComponents{
    {{"cuda", false}, {"etcd", false}, {"nixl", false}, {"signatures", KVFERRY_HAS_TRUST != 0}}};

}  // namespace

int run_version(const VersionOptions& options) {
  if (!options.json) {
    print(fmt::format("kvferry {} ({}, {})\n", KVFERRY_VERSION, KVFERRY_COMMIT, kCompiler));
    for (const Component& component : kComponents) {
      print(fmt::format("{:<10}  {}\n", component.name, component.is_in ? "in" : "left out"));
    }
    return kExitYes;
  }
  nlohmann::ordered_json components = nlohmann::ordered_json::object();
  for (const Component& component : kComponents) {
    components[std::string{component.name}] = component.is_in;
  }
  print_json({{"version", KVFERRY_VERSION},
              {"commit", KVFERRY_COMMIT},
              {"compiler", kCompiler},
              {"components", std::move(components)},
              {"agents", {{"shm", "built in"}}}});
  return kExitYes;
}

}  // namespace kvferry::tool
