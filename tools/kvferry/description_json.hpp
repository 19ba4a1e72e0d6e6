// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "kvferry/base/result.hpp"
#include "kvferry/layout/packed.hpp"

namespace kvferry::tool {

/// Puts arrangement, config, parts of the model and strides of a layout into its document.
void put_description(const layout::Description& description, nlohmann::ordered_json& value);

/// The inverse, of the document at `path`.
///
/// Errors: kCorrupt naming the path.
[[nodiscard]] Result<layout::Description> read_description(const nlohmann::json& node,
                                                           const std::string& path);

}  // namespace kvferry::tool
