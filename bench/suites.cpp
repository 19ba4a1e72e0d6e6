// SPDX-License-Identifier: Apache-2.0
#include "suites.hpp"

#include <algorithm>
#include <array>

namespace kvferry::bench {
namespace {

struct Suite {
  std::string_view name;
  Result<std::vector<CaseResult>> (*run)(const SuiteOptions& options);
};

/// Suite shm first, which forks.
constexpr std::array<Suite, 8> kSuites{{{"shm", run_shm_suite},
                                        {"host", run_host_suite},
                                        {"disk", run_disk_suite},
                                        {"latency", run_latency_suite},
                                        {"many", run_many_suite},
                                        {"memory", run_memory_suite},
                                        {"plan", run_plan_suite},
                                        {"wire", run_wire_suite}}};

}  // namespace

std::vector<std::string_view> suite_names() {
  std::vector<std::string_view> names;
  for (const Suite& suite : kSuites) {
    names.push_back(suite.name);
  }
  return names;
}

Result<std::vector<CaseResult>> run_suite(std::string_view name, const SuiteOptions& options) {
  const auto* const found = std::ranges::find(kSuites, name, &Suite::name);
  if (found != kSuites.end()) {
    return found->run(options);
  }
  std::string known;
  for (const Suite& suite : kSuites) {
    known += (known.empty() ? "" : ", ") + std::string{suite.name};
  }
  return Error{ErrorCode::kInvalidArgument,
               "suite \"" + std::string{name} + "\" is none of: " + known};
}

}  // namespace kvferry::bench
