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
#include "kvferry/base/epoch.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/log.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/disk/io.hpp"
#include "kvferry/layout/assumptions.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "kvferry/manager/leases.hpp"
#include "kvferry/transfer/physical_layout.hpp"
#include "kvferry/transfer/statistics.hpp"
#include "kvferry/transfer/transfer.hpp"
#include "kvferry/wire/limits.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::manager {

struct ManagerOptions {
  WorkerId worker_id{};
  /// Of this life of the worker; nothing: drawn by create().
  std::optional<Epoch> epoch{};
  /// Null: only transfers inside this process, nothing to export or import. An agent has one
  /// manager, which takes all messages that come, and shares its clock.
  // Shared: the caller keeps using it, and transfers in flight may outlive both.
  std::shared_ptr<agent::Agent> agent{};
  std::shared_ptr<const Clock> clock{};           ///< null: SteadyClock; shared with every transfer
  std::shared_ptr<const WallClock> wall_clock{};  ///< null: SystemWallClock; for leases of messages
  LogHook log{};
  wire::WireLimits limits{};
  /// Threads that copy what is too large to be copied by the caller: two keep one large transfer
  /// from holding up another, and leave the rest of the machine to the engine.
  std::size_t copy_threads{2};
  /// Transfers that may be without end at a time; from several sources, one for each. More are
  /// refused as busy. Each takes about a KiB, and 32 bytes for each block.
  std::size_t max_in_flight{65'536};
  /// How files of layouts on disk are read and written; begun with the first such transfer.
  disk::IoOptions disk{};
  /// Memory for blocks between two ends neither of which is memory of this process, such as a peer
  /// and a disk; allocated with the first such transfer. At least two blocks of 512 KiB keep both
  /// hops busy.
  std::uint64_t bounce_bytes{std::uint64_t{32} << 20U};
  /// How long the destructor waits for cancelled transfers to become quiet: they look every MiB,
  /// so that seconds mean that something under them hangs.
  Duration shutdown_timeout{std::chrono::seconds{5}};
  /// Asked before a peer's transfer may hold blocks of this worker, and told how that ended.
  LeaseHooks leases{};
  LeaseLimits lease_limits{};
};

/// What the blocks of a layout are, which no shape shows. Blocks do not move between layouts that
/// say different things, nor from such together into a third; empty says nothing. Only the envelope
/// tells it. UTF-8 without control characters.
struct Meaning {
  /// Whose cache it is, such as "meta-llama/Llama-3.1-8B@0e9e39f" or a digest of the weights: two
  /// models of one shape cannot be told apart by their shapes. At most 256 bytes.
  std::string model{};
  /// Of layouts whose blocks have ids of their own, such as "window" beside "full". At most 64
  /// bytes.
  std::string group{};

  friend bool operator==(const Meaning&, const Meaning&) = default;
};

struct RegisterOptions {
  /// Of peers; kNone for a layout on disk, which they cannot reach. Memory that was registered for
  /// reading is sealed against writers for good, so it can
  /// never be registered for writing afterwards.
  Access access{Access::kRead};
  Meaning meaning{};
};

struct ImportOptions {
  /// What the caller knows of the peer's layouts and the message cannot say.
  layout::Assumptions assume{};
  /// A changed message of a known worker takes the place of the old one although nothing tells
  /// which of them is newer; envelopes do not need it.
  bool replace{false};
  /// Of first contact and of waiting for transfers that use what is replaced: a healthy worker
  /// answers within milliseconds.
  Duration deadline{std::chrono::seconds{5}};
  /// How far the owner's wall clock may be ahead of ours, for a message with a lease: what network
  /// time keeps many times over.
  Duration clock_skew{std::chrono::seconds{2}};
};

/// What an envelope says beside the layouts.
struct EnvelopeOptions {
  /// How long it may be imported, and what was imported be used; 0: until another one comes.
  std::chrono::milliseconds lease{0};
  std::string audience{};  ///< agent name of the one worker that may import it; empty: all
};

/// A worker whose layouts were imported.
struct PeerInfo {
  WorkerId worker_id{};
  std::string agent_name;
  std::vector<LayoutHandle> layouts;
  std::optional<Epoch> epoch{};               ///< of an envelope
  std::optional<std::uint64_t> generation{};  ///< of an envelope
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
  /// Of this life of the worker.
  [[nodiscard]] Epoch epoch() const noexcept;
  /// How often that which peers may see has changed in this epoch; 1 at the beginning.
  [[nodiscard]] std::uint64_t generation() const;

  /// Names a layout, and makes its memory reachable for peers as far as `access` goes.
  ///
  /// Errors: kBusy after 65,536 layouts in the life of this manager, because ids are never used
  ///         again; kInvalidArgument naming what no envelope can tell of a layout that peers may
  ///         see, such as a group, a packing or the name of a plane of more than 64 bytes or with
  ///         control characters; those of Agent::register_memory(). Nothing is registered then.
  [[nodiscard]] Result<LayoutHandle> register_layout(transfer::PhysicalLayoutPtr layout,
                                                     const RegisterOptions& options = {});

  /// Takes a layout back once no transfer of this manager uses it. Peers that mapped its memory
  /// keep what they mapped.
  ///
  /// Errors: kStale for a handle that is not registered (any more); kDeadline when transfers still
  ///         use it after `timeout`: it then stays registered.
  [[nodiscard]] Result<void> unregister_layout(LayoutHandle handle, Duration timeout);

  /// Puts another layout in the place of a registered one, which is taken back as
  /// unregister_layout() does: no message ever has both, or neither. The new one has a handle of
  /// its own, so that what was prepared for the old one is stale.
  ///
  /// Errors: those of unregister_layout() and register_layout(); the old one stays registered then.
  [[nodiscard]] Result<LayoutHandle> change_layout(LayoutHandle handle,
                                                   transfer::PhysicalLayoutPtr layout,
                                                   Duration timeout,
                                                   const RegisterOptions& options = {});

  /// Everything a peer needs, as a message, layouts in ascending order of their ids. Layouts of
  /// access none are left out. The number of heads has no place in format A; format B tells it, and
  /// a tier by the kind of storage. Which part of the model a layout is has none in either: the
  /// part is told as if it were all.
  ///
  /// Errors: kUnavailable without an agent; kIncompatible naming a layout that `format` cannot
  ///         tell: strides and planes in both, another order than NHD and HND in A; those of
  ///         Agent::local_metadata().
  [[nodiscard]] Result<wire::SerializedLayout> export_metadata(
      wire::MessageFormat format = wire::MessageFormat::kA) const;

  /// The same as an envelope, which also tells access, tier, order, heads, guards, the life of this
  /// worker and how often it has changed.
  ///
  /// Errors: kUnavailable without an agent; kInvalidArgument for a lease below zero or an audience
  ///         that is no name; those of Agent::local_metadata().
  [[nodiscard]] Result<std::vector<std::byte>> export_envelope(
      const EnvelopeOptions& options = {}) const;

  /// Takes over all layouts of a message of any format, or none: handles in the message's order. A
  /// handle names one layout for ever; a layout that a known worker still has as it was keeps its
  /// handle, whichever message tells of it, and all others of the worker are stale from then on.
  ///
  /// A message of a known worker is
  /// - nothing new when it says the same; an envelope then also prolongs its lease;
  /// - an update when it is an envelope of a higher generation, or `replace` is set;
  /// - another life of the worker when it is an envelope of another epoch: nothing is kept.
  ///
  /// Errors: kCorrupt for what does not decode, breaks a rule of import, or says something else
  ///         than a message of the same epoch and generation; kInvalidArgument for one's own
  ///         message or assumptions that contradict it; kIncompatible for an
  ///         envelope that asks for more than is understood here; kRefused
  ///         for a worker id that another agent has, an envelope for another worker, or one from
  ///         the future; kStale for a lower generation, an earlier epoch, a lease that is over, and
  ///         for a changed message without a generation when `replace` is not set; kDeadline when
  ///         transfers still use what it takes away; kUnavailable for an envelope without a part
  ///         for this agent; those of Agent::load_peer() and prepare_remote().
  [[nodiscard]] Result<std::vector<LayoutHandle>> import_metadata(
      std::span<const std::byte> message, const ImportOptions& options = {});
  [[nodiscard]] Result<std::vector<LayoutHandle>> import_metadata(
      const wire::SerializedLayout& message, const ImportOptions& options = {}) {
    return import_metadata(message.as_bytes(), options);
  }

  /// Drops a worker and all its layouts once no transfer uses them.
  ///
  /// Errors: kStale for a worker that is not known; kDeadline when transfers still use it after
  ///         `timeout`: it then stays known.
  [[nodiscard]] Result<void> forget_peer(WorkerId worker, Duration timeout);

  [[nodiscard]] std::vector<LayoutHandle> local_handles() const;
  [[nodiscard]] std::vector<PeerInfo> peers() const;

  /// What is told of a layout, local or remote.
  ///
  /// Errors: kStale for a handle that is not known.
  [[nodiscard]] Result<Meaning> meaning(LayoutHandle handle) const;

  /// How two layouts, each local or remote, stand to each other.
  ///
  /// Errors: kStale for a handle that is not known.
  [[nodiscard]] Result<layout::Compatibility> compatibility(LayoutHandle source,
                                                            LayoutHandle destination) const;

  /// Starts to move blocks from a local or a remote layout into a local one (a pull), or from a
  /// local one into a remote one (a push). Every check is made before a byte moves. With equal
  /// pages, source_blocks[i] goes to destination_blocks[i]; else the tokens of both lists are
  /// paired in order.
  ///
  /// Errors:   kInvalidArgument for ids out of range, a destination twice, lists of unequal length,
  ///           layers past the model's, source and destination that share memory or are both
  ///           remote, expected sequence numbers of a layout without guards; kRefused for a remote
  ///           destination that peers may only read, or that has guards;
  ///           kIncompatible with the reason; kStale for a handle that is not known (any more) or
  ///           a peer whose lease is over; kBusy when another transfer, or its engine, writes to
  ///           one of the blocks. With hold_source also what the owner answers: kRefused, or
  ///           another code that its engine chose; kStale for a layout that it has no more or other
  ///           sequences; kBusy for too many leases; kInvalidArgument for a local source, for more
  ///           than 7,168 blocks and sequences, or a deadline above what the owner allows;
  ///           kDeadline when it does not answer; kUnavailable when it is dead.
  /// Lifetime: the transfer keeps both layouts and the agent alive.
  [[nodiscard]] Result<transfer::Transfer> execute_transfer(
      LayoutHandle source, std::span<const BlockId> source_blocks, LayoutHandle destination,
      std::span<const BlockId> destination_blocks, const transfer::TransferOptions& options = {}) {
    return execute_transfer({&source, 1}, source_blocks, destination, destination_blocks, options);
  }

  /// The same from several layouts, such as those of the ranks of a peer: each is read for what it
  /// alone holds, and what several hold is shared out among them block by block. One that fails
  /// makes bad only the blocks that it feeds.
  ///
  /// Errors: those of one source; kIncompatible naming the first axis and range that no source
  ///         holds, unless `options` allow a partial transfer; kInvalidArgument for no source.
  [[nodiscard]] Result<transfer::Transfer> execute_transfer(
      std::span<const LayoutHandle> sources, std::span<const BlockId> source_blocks,
      LayoutHandle destination, std::span<const BlockId> destination_blocks,
      const transfer::TransferOptions& options = {});

  /// Transfers in flight or in quarantine, without those that their caller still carries out.
  [[nodiscard]] std::size_t transfers_in_flight() const;

  /// What went which way, and what is under way.
  [[nodiscard]] transfer::Statistics statistics() const;

  /// How many leases peers have of blocks of this worker.
  [[nodiscard]] std::size_t leases_held() const;

 private:
  class Impl;

  explicit TransportManager(std::unique_ptr<Impl> impl) noexcept;

  std::unique_ptr<Impl> impl_;
};

}  // namespace kvferry::manager
