// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace kvferry::wire::samples {

/// What was allocated by this thread while `on`.
struct Counts {
  bool on{false};
  std::size_t allocations{0};
  std::size_t bytes{0};
};

/// The counts of this thread, which the operator new of this program keeps.
Counts& counts() noexcept;

}  // namespace kvferry::wire::samples
