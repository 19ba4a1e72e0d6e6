// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvferry::tool {

/// From now on the first SIGINT, SIGTERM or SIGHUP only sets a flag, so that what is under way can
/// be cancelled and told; a second one ends the process as ever.
void catch_interruption();

/// Whether such a signal came.
[[nodiscard]] bool interrupted() noexcept;

/// A descriptor that is readable from the moment such a signal came, for poll().
[[nodiscard]] int interruption_fd() noexcept;

}  // namespace kvferry::tool
