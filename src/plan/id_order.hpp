// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::plan::detail {

/// The places of `ids`, each below `blocks`, in ascending order of the ids; nothing where they
/// ascend as they are.
///
/// Errors: kInvalidArgument naming a destination block that stands there twice.
[[nodiscard]] Result<std::vector<std::size_t>> ascending_places(std::span<const BlockId> ids,
                                                                std::uint64_t blocks);

}  // namespace kvferry::plan::detail
