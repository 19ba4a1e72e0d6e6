// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/error.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::transfer {

class TransferState;
struct TransferGroup;

/// How it is made sure that the bytes that arrived are those that were sent.
enum class Verify : std::uint8_t {
  kNone,
  /// XXH3-128 of each layer of each block, computed on both sides from their own memory; kept
  /// beside a file that is written, and compared when it is read again.
  kChecksum,
};

/// How to move blocks.
struct TransferOptions {
  plan::LayerRange layers{};  ///< of the whole model
  /// Moves all blocks of one layer before those of the next, so that who computes layer by layer
  /// starts while the rest still moves: Transfer::wait_for_layer(). Bytes that are neighbours in
  /// two layers move apart then.
  bool by_layer{false};
  /// From now. The default is longer than any transfer of a whole cache between healthy workers of
  /// one machine takes, and short enough for a request that waits for it.
  Duration deadline{std::chrono::seconds{30}};
  /// Empty, or for each source block the sequence number that its guard must have: no byte moves
  /// when one has another.
  std::span<const std::uint64_t> expected_sequences{};
  /// Asks the owner first to hold the source blocks until the end of the transfer, at most until a
  /// second after the deadline, and tells it how the transfer ended. Waits for the owner's answer.
  /// Of a peer's layout only: blocks of one's own are the caller's to hold.
  bool hold_source{false};
  Verify verify{Verify::kNone};
  /// Moves what both sides hold although the sources do not hold all of the destination's blocks,
  /// which then are partial, never good.
  bool partial{false};
};

/// What digests have to say of the blocks that are not bad.
enum class Verified : std::uint8_t {
  kNo,
  kCompared,  ///< both sides have the same
  kKept,      ///< the source's are kept beside the file, for whoever reads it
};

/// How a transfer ended. Blocks that are not in `bad_blocks` hold every byte that the source's
/// memory held while it was copied. That nobody wrote there meanwhile is certain only of a source
/// with guards; else it is the owner's to see to.
struct TransferReport {
  std::optional<Error> error{};       ///< nothing: every byte arrived
  std::vector<BlockId> bad_blocks{};  ///< destination blocks that must not be used
  /// Destination blocks of which only a part was wanted and has arrived, ascending.
  std::vector<BlockId> partial_blocks{};
  plan::PlanSummary plan{};      ///< what was to be moved
  std::uint64_t bytes_moved{0};  ///< by requests that ended; a failed one may have moved more
  std::string route{};           ///< "host copy", "shm read"
  std::string assumed{};         ///< of peers' layouts, by whoever imported them: "heads=8"
  Duration plan_time{};          ///< checks and planning, before the first byte
  Duration transfer_time{};      ///< from the first byte to the end, verification included
  Verified verified{Verified::kNo};
  Duration verify_time{};  ///< spent here on digests
  /// Whether nothing can touch the destination any more. If false, its blocks stay claimed, in
  /// quarantine, until that is so.
  bool quiet{true};

  [[nodiscard]] bool ok() const noexcept { return !error.has_value(); }
};

/// One transfer that was started. Dropping it neither cancels nor waits: the transfer goes on.
///
/// Threads: any, all methods; copies name the same transfer.
class Transfer {
 public:
  explicit Transfer(std::shared_ptr<const TransferGroup> group) noexcept
      : group_{std::move(group)} {}

  /// Waits for the end, which comes at the transfer's deadline at the latest, or up to a second
  /// after it where something under us hangs; then `quiet` is false.
  [[nodiscard]] TransferReport wait() const;

  /// Waits for the end, but not longer than `timeout`; nothing if it has not come by then. The
  /// transfer goes on.
  [[nodiscard]] std::optional<TransferReport> wait_for(Duration timeout) const;

  /// The report if the transfer is at its end.
  [[nodiscard]] std::optional<TransferReport> poll() const;

  /// Waits until the blocks of all layers up to `layer`, of the whole model, have arrived, but not
  /// longer than `timeout`; false if they have not by then. Where not all layers move, one that
  /// does not has arrived when those below it have. What is told stays true when a later layer
  /// fails, though the blocks as a whole are bad then.
  ///
  /// Errors: kInvalidArgument for a transfer that does not move by layer; the transfer's own when
  ///         it ended without the layer.
  [[nodiscard]] Result<bool> wait_for_layer(std::uint64_t layer, Duration timeout) const;

  /// Calls back once at the end, on a thread of the manager that moves no bytes; here and now if it
  /// has come. A callback may start transfers, but must not wait or take long: others wait for it.
  /// It comes although the caller lets go of the transfer.
  ///
  /// Errors: kUnavailable when the system has no thread; nothing is called then.
  [[nodiscard]] Result<void> on_complete(std::function<void(const TransferReport&)> callback) const;

  /// A descriptor for event loops, always the same, which is readable from the end on. It is the
  /// transfer's: not to be closed or read, and gone with the last copy of this object.
  ///
  /// Errors: kBusy when descriptors are used up; kUnavailable likewise and as on_complete().
  [[nodiscard]] Result<int> event_fd() const;

  /// Stops the transfer and waits for its end, as wait() does. One that has ended already keeps
  /// its report.
  TransferReport cancel() const;

  /// Whether nothing of it can touch the destination any more, asked now.
  [[nodiscard]] bool quiet() const;

 private:
  // Shared: handles of the caller and the engine that carries it out; either may let go first.
  std::shared_ptr<const TransferGroup> group_;
};

}  // namespace kvferry::transfer
