// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvferry::tool {

/// From now on the first SIGINT, SIGTERM or SIGHUP only sets a flag, so that what is under way can
/// be cancelled and told; a second one ends the process as ever.
void catch_interruption();

/// Whether such a signal came.
[[nodiscard]] bool interrupted() noexcept;

/// From here on, what is under way ends by itself when the user interrupts. False: whoever waits
/// for it has answered an interruption already, and nothing may begin any more.
[[nodiscard]] bool begin_cancellable() noexcept;

/// Whether nothing has begun that can be cancelled; then nothing will.
[[nodiscard]] bool end_before_it_begins() noexcept;

/// A descriptor that is readable from the moment such a signal came, for poll().
[[nodiscard]] int interruption_fd() noexcept;

}  // namespace kvferry::tool
