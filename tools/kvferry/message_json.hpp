// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/metadata.hpp"

// Messages as JSON: what inspect prints and encode reads.

namespace kvferry::tool {

/// The names of the rules, each once.
[[nodiscard]] nlohmann::ordered_json lint_names(const std::vector<wire::Lint>& lints);

/// What a message says. Worker ids and integers above 2^53 are decimal strings.
[[nodiscard]] nlohmann::ordered_json value_of(const wire::MessageView& view);

/// The message that a document describes. What can be derived may be left out; what is unknown is
/// refused, because it would be lost. The document's own format counts unless `format_given`.
///
/// Errors: kCorrupt or kInvalidArgument naming the field ("layouts[0].handle.layout_id: ...").
[[nodiscard]] Result<wire::RdmaLayoutDescriptors> message_of(std::string_view document,
                                                             bool format_given);

}  // namespace kvferry::tool
