// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one object that a worker needs: it registers layouts, tells other workers about them,
// imports theirs and moves blocks between any two.
//
//   auto manager = TransportManager::create({.worker_id = WorkerId{7}, .agent = agent});
//   LayoutHandle local = *(*manager)->register_layout(*layout, {.access = Access::kRead});
//   auto remote = (*manager)->import_metadata(message_from_peer);
//   auto transfer = (*manager)->execute_transfer((*remote)[0], block_ids({4, 9, 2}),
//                                                local, block_ids({0, 1, 2}), {.deadline = 2s});
//   TransferReport report = transfer->wait();

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/agent/agent.hpp"
#include "kvferry/base/access.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/log.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/transfer/physical_layout.hpp"
#include "kvferry/transfer/transfer.hpp"
#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::manager {

struct ManagerOptions {
  WorkerId worker_id{};
  /// Null: only transfers inside this process, nothing to export or import.
  // Shared: the caller keeps using it, and transfers in flight may outlive both.
  std::shared_ptr<agent::Agent> agent{};
  std::shared_ptr<const Clock> clock{};  ///< null: SteadyClock; shared with every transfer
  LogHook log{};
  wire::WireLimits limits{};
  /// Threads that copy what is too large to be copied by the caller: two keep one large transfer
  /// from holding up another, and leave the rest of the machine to the engine.
  std::size_t copy_threads{2};
  /// How long the destructor waits for cancelled transfers to become quiet: they look every MiB,
  /// so that seconds mean that something under them hangs.
  Duration shutdown_timeout{std::chrono::seconds{5}};
};

struct RegisterOptions {
  /// Of peers. Memory that was registered for reading is sealed against writers for good, so it can
  /// never be registered for writing afterwards.
  Access access{Access::kRead};
};

/// What the caller knows of a peer's layouts and the message cannot say.
struct Assumptions {
  std::optional<layout::InnerShape> order{};  ///< of token and head
  std::optional<std::uint64_t> num_heads{};

  friend bool operator==(const Assumptions&, const Assumptions&) = default;
};

struct ImportOptions {
  Assumptions assume{};
  /// A changed message of a known worker takes the place of the old one, once no transfer uses
  /// its layouts; a handle that both have names the new layout, one that is gone is stale.
  bool replace{false};
  /// Of first contact and of waiting for transfers that use what is replaced: a healthy worker
  /// answers within milliseconds.
  Duration deadline{std::chrono::seconds{5}};
};

/// A worker whose layouts were imported.
struct PeerInfo {
  WorkerId worker_id{};
  std::string agent_name;
  std::vector<LayoutHandle> layouts;
};

/// Threads: any, all methods. Of a forked child: none (kRefused, or nothing where there is no
///          error to give).
class TransportManager {
 public:
  /// Errors: kInvalidArgument for no copy threads; kUnavailable when the system has none.
  [[nodiscard]] static Result<std::unique_ptr<TransportManager>> create(ManagerOptions options);

  /// Cancels all transfers and waits until they are quiet, at most for shutdown_timeout; memory
  /// that is in quarantine then is never freed.
  ~TransportManager();
  TransportManager(const TransportManager&) = delete;
  TransportManager& operator=(const TransportManager&) = delete;

  [[nodiscard]] WorkerId worker_id() const noexcept;

  /// Names a layout, and makes its memory reachable for peers as far as `access` goes.
  ///
  /// Errors: kBusy after 65,536 layouts in the life of this manager, because ids are never used
  ///         again; those of Agent::register_memory(). Nothing is registered then.
  [[nodiscard]] Result<LayoutHandle> register_layout(transfer::PhysicalLayoutPtr layout,
                                                     const RegisterOptions& options = {});

  /// Takes a layout back once no transfer of this manager uses it. Peers that mapped its memory
  /// keep what they mapped.
  ///
  /// Errors: kStale for a handle that is not registered (any more); kDeadline when transfers still
  ///         use it after `timeout`: it then stays registered.
  [[nodiscard]] Result<void> unregister_layout(LayoutHandle handle, Duration timeout);

  /// Everything a peer needs, as a message, layouts in ascending order of their ids. Layouts of
  /// access none are left out. The number of heads has no place in format A; format B tells it, and
  /// a tier by the kind of storage.
  ///
  /// Errors: kUnavailable without an agent; those of Agent::local_metadata().
  [[nodiscard]] Result<wire::SerializedLayout> export_metadata(
      wire::MessageFormat format = wire::MessageFormat::kA) const;

  /// Takes over all layouts of a message, or none: handles in the message's order. A message that
  /// was imported already gives the same handles again.
  ///
  /// Errors: kCorrupt for what does not decode or breaks a rule of import; kInvalidArgument for
  ///         one's own message or assumptions that contradict it; kIncompatible for blocks in an
  ///         order that cannot be moved; kRefused for a worker id that
  ///         another agent has; kStale when the worker is known, the message has changed and
  ///         `replace` is not set; kDeadline; those of Agent::load_peer() and prepare_remote().
  [[nodiscard]] Result<std::vector<LayoutHandle>> import_metadata(
      const wire::SerializedLayout& message, const ImportOptions& options = {});

  /// Drops a worker and all its layouts once no transfer uses them.
  ///
  /// Errors: kStale for a worker that is not known; kDeadline when transfers still use it after
  ///         `timeout`: it then stays known.
  [[nodiscard]] Result<void> forget_peer(WorkerId worker, Duration timeout);

  [[nodiscard]] std::vector<LayoutHandle> local_handles() const;
  [[nodiscard]] std::vector<PeerInfo> peers() const;

  /// How two layouts, each local or remote, stand to each other.
  ///
  /// Errors: kStale for a handle that is not known.
  [[nodiscard]] Result<layout::Compatibility> compatibility(LayoutHandle source,
                                                            LayoutHandle destination) const;

  /// Starts to move blocks into a local layout, from a local or a remote one. Every check is made
  /// before a byte moves. With equal pages, source_blocks[i] goes to destination_blocks[i]; else
  /// the tokens of both lists are paired in order.
  ///
  /// Errors:   kInvalidArgument for ids out of range, a destination twice, lists of unequal length,
  ///           layers past the model's, source and destination that share memory, a remote
  ///           destination; kIncompatible with the reason; kStale for a handle that is not known
  ///           (any more); kBusy when another transfer writes to one of the blocks.
  /// Lifetime: the transfer keeps both layouts and the agent alive.
  [[nodiscard]] Result<transfer::Transfer> execute_transfer(
      LayoutHandle source, std::span<const BlockId> source_blocks, LayoutHandle destination,
      std::span<const BlockId> destination_blocks, const transfer::TransferOptions& options = {});

  /// Transfers in flight or in quarantine, without those that their caller still carries out.
  [[nodiscard]] std::size_t transfers_in_flight() const;

 private:
  class Impl;

  explicit TransportManager(std::unique_ptr<Impl> impl) noexcept;

  std::unique_ptr<Impl> impl_;
};

}  // namespace kvferry::manager
