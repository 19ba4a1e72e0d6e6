// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::testing {

/// What goes wrong at an exact place of a transfer.
enum class FaultKind : std::uint8_t {
  kStopOwner,  ///< the peer's process is stopped
  kKillOwner,  ///< the peer's process is killed
  kKillSelf,   ///< this process is killed
  kDrop,       ///< the piece never moves and its request never ends
  kDelay,      ///< the piece moves later, whatever is asked meanwhile
  kCorrupt,    ///< a bit of the piece arrives wrong
  kFail,       ///< the request fails there
};

struct Fault {
  FaultKind kind{FaultKind::kFail};
  std::uint64_t piece{0};  ///< how many pieces of kFaultPieceBytes move before it strikes
  Duration delay{0};       ///< of kDelay

  friend bool operator==(const Fault&, const Fault&) = default;
};

inline constexpr std::uint64_t kFaultPieceBytes = std::uint64_t{64} << 10U;

/// Reads "stop-owner@100", "delay@3:500ms"; the delay in ms or s.
///
/// Errors: kInvalidArgument naming what is wrong with it.
[[nodiscard]] Result<Fault> parse_fault(std::string_view spec);

}  // namespace kvferry::testing
