// SPDX-License-Identifier: Apache-2.0
#include "suites.hpp"

namespace kvferry::bench {

std::vector<std::string_view> suite_names() { return {"shm", "host", "disk", "plan", "wire"}; }

Result<std::vector<CaseResult>> run_suite(std::string_view name, const SuiteOptions& options) {
  if (name == "disk") {
    return run_disk_suite(options);
  }
  if (name == "host") {
    return run_host_suite(options);
  }
  if (name == "plan") {
    return run_plan_suite(options);
  }
  if (name == "shm") {
    return run_shm_suite(options);
  }
  if (name == "wire") {
    return run_wire_suite(options);
  }
  return Error{ErrorCode::kInvalidArgument,
               "suite \"" + std::string{name} + "\" is none of: disk, host, plan, shm, wire"};
}

}  // namespace kvferry::bench
