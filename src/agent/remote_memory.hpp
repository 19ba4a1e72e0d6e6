// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "agent/peer_process.hpp"
#include "agent/shm_blob.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {

/// A memory of a peer, proven to be reachable.
///
/// Threads: any.
class RemoteMemory {
 public:
  /// Maps memory of a peer from its file.
  ///
  /// Errors: kRefused for a file that could shrink or is too small (a reader of it could be
  ///         killed), that is not the one announced, or that does not allow the access;
  ///         kUnavailable when the system refuses.
  [[nodiscard]] static Result<std::shared_ptr<RemoteMemory>> map(
      const BlobMemory& told, const UniqueFd& file, std::shared_ptr<PeerProcess> process);

  /// Reads the nonce of memory that has no file, through the kernel.
  ///
  /// Errors: as PeerProcess::read(); kRefused when it is not the nonce announced.
  [[nodiscard]] static Result<std::shared_ptr<RemoteMemory>> probe(
      const BlobMemory& told, std::shared_ptr<PeerProcess> process);

  [[nodiscard]] const BlobMemory& told() const noexcept { return told_; }
  [[nodiscard]] bool is_mapped() const noexcept { return told_.kind == MemoryKind::kSharedFile; }
  [[nodiscard]] PeerProcess& process() const noexcept { return *process_; }

  /// Where the peer's `address` is for us: in the mapping, or the address itself where there is
  /// none.
  [[nodiscard]] std::byte* translate(std::uint64_t address) const noexcept;

  /// Whether the peer was forgotten, was replaced, or took the memory back.
  [[nodiscard]] bool is_stale() const noexcept { return stale_.load(std::memory_order_relaxed); }
  void set_stale() noexcept { stale_.store(true, std::memory_order_relaxed); }

 private:
  RemoteMemory(const BlobMemory& told, memory::Mapping mapping,
               std::shared_ptr<PeerProcess> process)
      : told_{told}, mapping_{std::move(mapping)}, process_{std::move(process)} {}

  BlobMemory told_;
  memory::Mapping mapping_;
  // Shared by all memories and the connection of one life of a peer; any may be the last.
  std::shared_ptr<PeerProcess> process_;
  std::atomic<bool> stale_{false};
};

// Shared by what is known of the peer and the sides prepared on it, which may outlive it.
using RemoteMemoryPtr = std::shared_ptr<RemoteMemory>;

/// The memory that wholly holds `region`, of `memories` ascending by address; null if none does.
[[nodiscard]] const RemoteMemoryPtr* find_memory(std::span<const RemoteMemoryPtr> memories,
                                                 const Region& region) noexcept;

}  // namespace kvferry::agent
