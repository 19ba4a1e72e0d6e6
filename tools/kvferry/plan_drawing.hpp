// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kvferry/base/result.hpp"
#include "landing.hpp"

namespace kvferry::tool {

/// What a drawing of a plan says beside what it shows. Texts may be hostile and of any length.
struct PlanTexts {
  std::vector<std::string> sources;  ///< what each source is
  std::string destination;
  std::vector<std::string> captions;  ///< the numbers of the plan, a line each
};

/// A plan as an SVG file: which source gives which part of the destination, and where the bytes of
/// the first blocks go.
[[nodiscard]] Result<std::string> draw_plan(const PlannedMove& move, const PlanTexts& texts);

}  // namespace kvferry::tool
