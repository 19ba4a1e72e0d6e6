// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "machine.hpp"
#include "measure.hpp"

// What `kvferry bench` says of what it measured.

namespace kvferry::tool {

[[nodiscard]] nlohmann::ordered_json json_of(const bench::CaseResult& result);

/// The heads of row_of().
[[nodiscard]] std::vector<std::string> bench_heads();
[[nodiscard]] std::vector<std::string> row_of(const bench::CaseResult& result);

/// A page with charts and all figures; `results` are in order of their suites.
[[nodiscard]] std::string html_of(const std::vector<bench::CaseResult>& results,
                                  const Machine& machine);

}  // namespace kvferry::tool
