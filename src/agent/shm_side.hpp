// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "agent/remote_memory.hpp"
#include "kvferry/agent/agent.hpp"

namespace kvferry::agent {

/// Regions of one side, as addresses that can be copied from and to.
///
/// Threads: any; only the flags of its memories change.
class ShmSide final : public PreparedSide {
 public:
  /// Errors: kInvalidArgument naming the first region that is no range of addresses.
  [[nodiscard]] static Result<PreparedSidePtr> local(std::span<const Region> regions);

  /// Errors: kInvalidArgument naming the first region that is not inside one of `memories`, which
  ///         ascend by address.
  [[nodiscard]] static Result<PreparedSidePtr> remote(std::span<const Region> regions,
                                                      std::span<const RemoteMemoryPtr> memories);

  /// Moves the bytes of a request whose sides are both of this kind, or none.
  ///
  /// Errors: as Agent::post().
  [[nodiscard]] static Result<void> move(const Request& request);

  [[nodiscard]] bool is_current() const noexcept override;

 private:
  ShmSide() = default;

  [[nodiscard]] Result<void> check_usable() const;
  [[nodiscard]] Result<void> check_writable(std::span<const Run> runs) const;
  [[nodiscard]] Result<void> read_into(const ShmSide& local, const Request& request) const;

  std::vector<std::byte*> bases_;
  std::vector<std::uint64_t> sizes_;
  // Of a remote side only. The memories it uses, each once, and the one that holds each region:
  // the first keeps them alive and is walked by every request, so it is short.
  std::vector<RemoteMemoryPtr> memories_;
  std::vector<const RemoteMemory*> memory_of_region_;
  bool is_remote_{false};
  bool all_mapped_{true};
};

}  // namespace kvferry::agent
