// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/message_view.hpp"
#include "manager/registry.hpp"

namespace kvferry::manager {

/// The peer that a message describes, whole but for what only an agent can add: `agent_peer` and
/// the sides of its layouts.
///
/// Errors: kCorrupt for what does not decode or breaks a rule of import; kInvalidArgument for
///         assumptions that contradict the message.
[[nodiscard]] Result<std::shared_ptr<Peer>> read_peer(const wire::SerializedLayout& message,
                                                      const Assumptions& assume,
                                                      const wire::WireLimits& limits);

/// What a message of `format` says of one's own layout.
[[nodiscard]] wire::LocalLayoutDescriptor describe(const LocalLayout& layout,
                                                   const std::string& agent_name,
                                                   wire::MessageFormat format);

}  // namespace kvferry::manager
