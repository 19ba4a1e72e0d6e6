// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/access.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/base/strong_int.hpp"
#include "kvferry/memory/memory.hpp"

namespace kvferry::agent {

using RegistrationId = StrongInt<struct RegistrationIdTag, std::uint64_t>;
using PeerId = StrongInt<struct PeerIdTag, std::uint64_t>;  ///< never reused by an agent
using RequestId = StrongInt<struct RequestIdTag, std::uint64_t>;

/// What an agent can do; routes are chosen from these, never from its name.
struct AgentFacts {
  std::string kind;                              ///< "shm"; names routes: "shm read"
  bool reads{false};                             ///< can pull from a peer's memory
  bool writes{false};                            ///< can push into a peer's memory
  bool read_needs_owner_cpu{false};              ///< a stopped owner stops a read
  bool cancels{false};                           ///< a posted request can be stopped
  bool needs_progress{false};                    ///< somebody must call poll() for bytes to move
  std::uint64_t largest_request_bytes{0};        ///< of one post(); 0: no limit
  std::vector<StorageKind::Type> storage_kinds;  ///< what register_memory() takes
};

enum class Operation : std::uint8_t { kRead, kWrite };
enum class Liveness : std::uint8_t { kAlive, kDead };
enum class RequestState : std::uint8_t { kPending, kDone };

/// Regions of one side, resolved once and used by many requests. What is in it is the agent's.
///
/// Lifetime: keeps what it names reachable as long as it lives, also after the peer was forgotten;
///           requests refuse it from then on.
class PreparedSide {
 public:
  PreparedSide(const PreparedSide&) = delete;
  PreparedSide& operator=(const PreparedSide&) = delete;
  virtual ~PreparedSide() = default;

  /// Whether its regions are in the memory that the last metadata of the peer told of; of one's own
  /// memory always. If not, requests refuse it.
  [[nodiscard]] virtual bool is_current() const noexcept = 0;

 protected:
  PreparedSide() = default;
};
// Shared: the layout that prepared it and requests in flight; either may end first.
using PreparedSidePtr = std::shared_ptr<const PreparedSide>;

/// One request: move the bytes of `runs`. The region of a run's end is the index in the regions
/// given to prepare; a read has its sources at the remote side, a write its destinations.
struct Request {
  Operation operation{Operation::kRead};
  PreparedSidePtr local;
  PreparedSidePtr remote;
  std::span<const Run> runs;  ///< may go when post() returns
  /// How much the transfer moves in all that the request is a part of; 0: not told. Only a hint.
  std::uint64_t transfer_bytes{0};
};

/// A message from a peer.
struct Notification {
  std::string sender;  ///< the peer's agent name
  std::vector<std::byte> bytes;
};

/// What makes memory reachable for other workers and moves it. Every agent passes the suite in
/// tests/conformance.
///
/// Threads: any, all methods.
class Agent {
 public:
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  virtual ~Agent() = default;

  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  [[nodiscard]] virtual const AgentFacts& facts() const noexcept = 0;

  /// Makes `memory` reachable for peers that load metadata from now on.
  ///
  /// Errors: kRefused with the reason when this memory cannot be reached by others, or not with
  ///         this access; kUnavailable when the system refuses.
  [[nodiscard]] virtual Result<RegistrationId> register_memory(memory::MemoryPtr memory,
                                                               Access access) = 0;
  /// Errors: kInvalidArgument for an id that is not registered.
  [[nodiscard]] virtual Result<void> deregister_memory(RegistrationId id) = 0;

  /// What a peer needs to reach the memory registered now. Fine with none.
  [[nodiscard]] virtual Result<std::vector<std::byte>> local_metadata() const = 0;

  /// What a peer needs to send messages here, and nothing of what is registered: as
  /// local_metadata() otherwise, small, and the same for the life of the agent.
  [[nodiscard]] virtual Result<std::vector<std::byte>> contact_metadata() const = 0;

  /// Makes contact with the peer that `blob` describes and proves that its memory is reachable.
  ///
  /// Errors: kInvalidArgument for one's own name or a blob of another name; kCorrupt for a blob
  ///         that does not decode; kRefused when the peer's user or memory is not to be trusted;
  ///         kUnavailable when it cannot be reached; kStale when the peer has another life, or less
  ///         memory, than it tells of: get a newer one; kBusy for a name already loaded, or a peer
  ///         with too many callers; kDeadline. Nothing is kept then.
  [[nodiscard]] virtual Result<PeerId> load_peer(std::string_view name,
                                                 std::span<const std::byte> blob,
                                                 TimePoint deadline) = 0;

  /// Replaces what is known of a peer; after a restart of the peer too. Sides prepared before
  /// stay usable only where the memory is still the same.
  ///
  /// Errors: as load_peer(); the peer then stays as it was.
  [[nodiscard]] virtual Result<void> update_peer(PeerId peer, std::span<const std::byte> blob,
                                                 TimePoint deadline) = 0;

  /// Errors: kStale for a peer that is not loaded.
  [[nodiscard]] virtual Result<void> forget_peer(PeerId peer) = 0;

  /// Whether the peer's process still runs, asked now. A stopped one is alive; an unknown one dead.
  [[nodiscard]] virtual Liveness liveness(PeerId peer) const = 0;

  /// The peer's process, where it is on this machine and known.
  [[nodiscard]] virtual std::optional<std::int32_t> process_of(PeerId peer) const = 0;

  /// Resolves regions of one's own memory, registered or not, for requests.
  ///
  /// Errors:   kInvalidArgument naming the first region that is no range of addresses.
  /// Lifetime: the memory is the caller's to keep.
  [[nodiscard]] virtual Result<PreparedSidePtr> prepare_local(std::span<const Region> regions) = 0;

  /// Resolves regions of a peer, by the peer's addresses.
  ///
  /// Errors: kStale for a forgotten peer; kInvalidArgument naming the first region that is not
  ///         inside memory that the peer registered.
  [[nodiscard]] virtual Result<PreparedSidePtr> prepare_remote(PeerId peer,
                                                               std::span<const Region> regions) = 0;

  /// Starts a request. Nothing: it is done already. Otherwise poll() tells.
  ///
  /// Errors:   kStale for a side whose peer was forgotten or replaced; kRefused for a write into
  ///           memory that may only be read; kInvalidArgument for a run that leaves its regions,
  ///           before any byte moved; kUnavailable when the peer is gone.
  /// Lifetime: both sides' memory stays until quiet() of the request.
  [[nodiscard]] virtual Result<std::optional<RequestId>> post(const Request& request) = 0;

  /// How a posted request stands; an error when it failed. Its answer stays until release().
  [[nodiscard]] virtual Result<RequestState> poll(RequestId id) = 0;

  /// Asks a request to stop; whether and when it does, quiet() tells.
  virtual void cancel(RequestId id) = 0;

  /// Whether no byte of the request can move any more. True for an id that is not known.
  [[nodiscard]] virtual bool quiet(RequestId id) = 0;

  /// Drops what is known of a request that is quiet; without effect on any other.
  virtual void release(RequestId id) = 0;

  /// Sends a message to the peer's agent.
  ///
  /// Errors: kInvalidArgument when it is too long; kStale for a forgotten peer; kUnavailable for
  ///         a dead one; kBusy when the peer takes no more; kDeadline.
  [[nodiscard]] virtual Result<void> notify(PeerId peer, std::span<const std::byte> message,
                                            TimePoint deadline) = 0;

  /// Takes all messages that arrived, in the order of each sender.
  [[nodiscard]] virtual std::vector<Notification> take_notifications() = 0;

  /// Waits until a message is there to be taken, or the process of a loaded peer has ended or
  /// somebody has called wake() since the last call that said so. For one thread: of several, any
  /// one may be told.
  ///
  /// Errors: kDeadline when nothing of that came; kRefused in a forked child.
  [[nodiscard]] virtual Result<void> wait(TimePoint deadline) = 0;

  /// Ends the wait() that there is, or else the next one.
  virtual void wake() = 0;

 protected:
  Agent() = default;
};

}  // namespace kvferry::agent
