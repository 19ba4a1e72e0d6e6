// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/metadata.hpp"

namespace kvferry::wire {

/// Whether `format` can carry `layout`, which is the layout with `index` of its message.
///
/// Errors: kInvalidArgument naming the first field that it cannot carry.
[[nodiscard]] Result<void> check_carriable(const LayoutDescriptor& layout, std::size_t index,
                                           MessageFormat format);
/// As above, of all layouts of a message, their logical types too.
[[nodiscard]] Result<void> check_carriable(std::span<const LocalLayoutDescriptor> layouts,
                                           MessageFormat format);

/// Writes a message whose layouts check_carriable() has passed, in at most two allocations.
[[nodiscard]] std::vector<std::byte> encode_owned(const WorkerAddress& worker_address,
                                                  std::span<const std::byte> nixl_metadata,
                                                  std::span<const LocalLayoutDescriptor> layouts,
                                                  MessageFormat format);

}  // namespace kvferry::wire
