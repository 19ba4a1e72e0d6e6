// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
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

/// The format that a word of the command line names: "a" or "b"; nothing for "auto".
[[nodiscard]] std::optional<wire::MessageFormat> format_of(std::string_view word);

/// A message, and the format to write it in.
struct Described {
  wire::MessageFormat format{wire::MessageFormat::kA};
  wire::RdmaLayoutDescriptors message{};
};

/// The message that a document describes. What can be derived may be left out; what is unknown, or
/// has no place in the format, is refused, because it would be lost. `format` counts more than the
/// document's own, and without both it is A.
///
/// Errors: kCorrupt or kInvalidArgument naming the field ("layouts[0].handle.layout_id: ...").
[[nodiscard]] Result<Described> message_of(std::string_view document,
                                           std::optional<wire::MessageFormat> format);

}  // namespace kvferry::tool
