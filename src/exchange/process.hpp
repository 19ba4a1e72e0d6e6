// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::exchange {

/// Names one life of one process: a pid alone is used again, and all start anew with the machine.
struct ProcessIdentity {
  std::string boot_id;
  std::uint64_t pid{0};
  std::uint64_t start_time{0};  ///< clock ticks from the machine's start to the process's

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// What one line of /proc/PID/stat says.
struct ProcessStat {
  char state{'?'};
  std::uint64_t start_time{0};
};

/// Reads the text of /proc/PID/stat; nothing when it is not one.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);

/// Errors: kUnavailable when /proc cannot be read.
[[nodiscard]] Result<ProcessIdentity> own_process();

/// Whether the process runs on this machine, in this boot of it. A zombie does not: its memory is
/// gone.
///
/// Errors: kBusy when it cannot be asked for want of descriptors.
[[nodiscard]] Result<bool> is_alive(const ProcessIdentity& process);

/// Opens a descriptor that is readable once the process has ended; none when it has already.
///
/// Errors: kBusy as is_alive(); kUnavailable when the system has no such descriptors.
[[nodiscard]] Result<UniqueFd> open_process(const ProcessIdentity& process);

}  // namespace kvferry::exchange
