// SPDX-License-Identifier: Apache-2.0
#include "kvferry/testing/faulty_agent.hpp"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/testing/split_runs.hpp"

namespace kvferry::testing {

using agent::Operation;
using agent::PeerId;
using agent::PreparedSidePtr;
using agent::Request;
using agent::RequestId;
using agent::RequestState;

/// A side of the agent inside, and what a fault needs to know of it.
class FaultyAgent::Side final : public agent::PreparedSide {
 public:
  Side(PreparedSidePtr inner, std::span<const Region> regions, std::optional<PeerId> peer)
      : inner_{std::move(inner)}, regions_{regions.begin(), regions.end()}, peer_{peer} {}

  [[nodiscard]] bool is_current() const noexcept override { return inner_->is_current(); }
  [[nodiscard]] const PreparedSidePtr& inner() const noexcept { return inner_; }
  [[nodiscard]] std::byte* address(const RunEnd& end) const noexcept {
    return reinterpret_cast<std::byte*>(regions_[end.region].address) + end.offset_bytes;
  }
  [[nodiscard]] std::optional<PeerId> peer() const noexcept { return peer_; }

 private:
  PreparedSidePtr inner_;
  std::vector<Region> regions_;
  std::optional<PeerId> peer_;
};

/// A request and its sides, as this agent knows them.
struct FaultyAgent::Posted {
  Operation operation;
  std::shared_ptr<const Side> local;
  std::shared_ptr<const Side> remote;
  std::uint64_t transfer_bytes;

  [[nodiscard]] Request of(std::span<const Run> runs) const {
    return {operation, local->inner(), remote->inner(), runs, transfer_bytes};
  }
};

namespace {

// Processes end and stop within milliseconds; a machine under load gets a thousand times that.
constexpr std::chrono::seconds kPatience{5};

// Marks requests of this agent, so that they are never taken for one of the agent inside.
constexpr std::uint64_t kOwnRequest = std::uint64_t{1} << 63U;

/// Waits until `holds` does, or gives up.
template <class Condition>
bool wait_until(Condition holds) {
  const TimePoint end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

/// Whether every thread of a process is stopped.
bool is_stopped(std::int32_t process) {
  std::error_code failure;
  const std::string threads = "/proc/" + std::to_string(process) + "/task";
  std::size_t stopped = 0;
  for (const auto& thread : std::filesystem::directory_iterator{threads, failure}) {
    std::ifstream file{thread.path() / "stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t state = text.rfind(") ");
    if (state == std::string::npos || text[state + 2] != 'T') {
      return false;
    }
    ++stopped;
  }
  return stopped > 0;
}

}  // namespace

FaultyAgent::FaultyAgent(std::shared_ptr<Agent> inner, std::optional<Fault> fault,
                         const MessageFaults& message_faults)
    : inner_{std::move(inner)},
      fault_{fault},
      message_faults_{message_faults},
      random_{message_faults.seed} {}

FaultyAgent::~FaultyAgent() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  ends_.notify_all();
  if (delayed_.joinable()) {
    delayed_.join();
  }
}

FaultReport FaultyAgent::report() const {
  return {struck_.load(), fault_ ? fault_->piece : 0, bytes_moved_.load()};
}

Result<agent::RegistrationId> FaultyAgent::register_memory(memory::MemoryPtr memory,
                                                           Access access) {
  return inner_->register_memory(std::move(memory), access);
}

Result<void> FaultyAgent::deregister_memory(agent::RegistrationId id) {
  return inner_->deregister_memory(id);
}

Result<std::vector<std::byte>> FaultyAgent::local_metadata() const {
  return inner_->local_metadata();
}

Result<PeerId> FaultyAgent::load_peer(std::string_view name, std::span<const std::byte> blob,
                                      TimePoint deadline) {
  return inner_->load_peer(name, blob, deadline);
}

Result<void> FaultyAgent::update_peer(PeerId peer, std::span<const std::byte> blob,
                                      TimePoint deadline) {
  return inner_->update_peer(peer, blob, deadline);
}

Result<void> FaultyAgent::forget_peer(PeerId peer) { return inner_->forget_peer(peer); }

agent::Liveness FaultyAgent::liveness(PeerId peer) const { return inner_->liveness(peer); }

std::optional<std::int32_t> FaultyAgent::process_of(PeerId peer) const {
  return inner_->process_of(peer);
}

Result<PreparedSidePtr> FaultyAgent::prepare_local(std::span<const Region> regions) {
  KVFERRY_ASSIGN_OR_RETURN(PreparedSidePtr inner, inner_->prepare_local(regions));
  return PreparedSidePtr{std::make_shared<Side>(std::move(inner), regions, std::nullopt)};
}

Result<PreparedSidePtr> FaultyAgent::prepare_remote(PeerId peer, std::span<const Region> regions) {
  KVFERRY_ASSIGN_OR_RETURN(PreparedSidePtr inner, inner_->prepare_remote(peer, regions));
  return PreparedSidePtr{std::make_shared<Side>(std::move(inner), regions, peer)};
}

Result<std::optional<RequestId>> FaultyAgent::post(const Request& request) {
  const Posted posted{request.operation, std::dynamic_pointer_cast<const Side>(request.local),
                      std::dynamic_pointer_cast<const Side>(request.remote),
                      request.transfer_bytes};
  if (posted.local == nullptr || posted.remote == nullptr || posted.local->peer() ||
      !posted.remote->peer()) {
    return Error{ErrorCode::kInvalidArgument, "a request needs sides prepared by this agent"};
  }
  if (!fault_ || struck_.load()) {
    return inner_->post(posted.of(request.runs));
  }
  const std::lock_guard lock{post_mutex_};
  const std::uint64_t strikes_at = fault_->piece * kFaultPieceBytes;
  const std::uint64_t start = bytes_moved_.load();
  const std::uint64_t total = total_bytes(request.runs);
  if (struck_.load() || strikes_at >= start + total) {
    auto whole = inner_->post(posted.of(request.runs));
    if (whole && !struck_.load()) {
      bytes_moved_ += total;
    }
    return whole;
  }
  const SplitRuns split = split_runs(request.runs, strikes_at - start);
  KVFERRY_RETURN_IF_ERROR(move(posted, split.before));
  bytes_moved_ = strikes_at;
  struck_ = true;
  return strike(posted, split.after);
}

/// Moves runs to their end, however long the agent inside takes.
Result<void> FaultyAgent::move(const Posted& posted, std::span<const Run> runs) {
  if (runs.empty()) {
    return {};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::optional<RequestId> id, inner_->post(posted.of(runs)));
  if (!id) {
    return {};
  }
  auto state = inner_->poll(*id);
  wait_until([&] {
    state = inner_->poll(*id);
    return !state || *state == RequestState::kDone;
  });
  inner_->release(*id);
  KVFERRY_RETURN_IF_ERROR(state);
  if (*state != RequestState::kDone) {
    return Error{ErrorCode::kDeadline, "the agent inside does not end a request"};
  }
  return {};
}

Result<std::optional<RequestId>> FaultyAgent::strike(const Posted& posted,
                                                     std::span<const Run> runs) {
  switch (fault_->kind) {
    case FaultKind::kStopOwner:
    case FaultKind::kKillOwner: KVFERRY_RETURN_IF_ERROR(signal_owner(posted)); break;
    case FaultKind::kKillSelf: std::raise(SIGKILL); break;
    case FaultKind::kDrop:
    case FaultKind::kDelay: return lose_piece(posted, runs);
    case FaultKind::kCorrupt: {
      const SplitRuns split = split_runs(runs, kFaultPieceBytes);
      KVFERRY_RETURN_IF_ERROR(corrupt_piece(posted, split.before));
      KVFERRY_RETURN_IF_ERROR(move(posted, split.after));
      return std::optional<RequestId>{};
    }
    case FaultKind::kFail:
      return Error{ErrorCode::kUnavailable,
                   "fault: failed at piece " + std::to_string(fault_->piece)};
  }
  return inner_->post(posted.of(runs));
}

/// Stops or kills the peer's process, and is sure of it when it returns.
Result<void> FaultyAgent::signal_owner(const Posted& posted) {
  const PeerId peer = *posted.remote->peer();
  const std::optional<std::int32_t> process = inner_->process_of(peer);
  if (!process || *process <= 1 || *process == getpid()) {
    return Error{ErrorCode::kRefused, "fault: the peer has no process of its own here"};
  }
  const bool kills = fault_->kind == FaultKind::kKillOwner;
  kill(*process, kills ? SIGKILL : SIGSTOP);
  const bool struck = wait_until([&] {
    return kills ? inner_->liveness(peer) == agent::Liveness::kDead : is_stopped(*process);
  });
  if (!struck) {
    return Error{ErrorCode::kDeadline,
                 "fault: process " + std::to_string(*process) + " does not take the signal"};
  }
  return {};
}

/// Flips a bit of the piece at our end: after it arrived, or for as long as it is sent.
Result<void> FaultyAgent::corrupt_piece(const Posted& posted, std::span<const Run> runs) {
  const bool reads = posted.operation == Operation::kRead;
  std::byte* const victim =
      posted.local->address(reads ? runs.front().destination : runs.front().source);
  if (!reads) {
    *victim ^= std::byte{1};
  }
  auto moved = move(posted, runs);
  *victim ^= std::byte{1};
  return moved;
}

Result<std::optional<RequestId>> FaultyAgent::lose_piece(const Posted& posted,
                                                         std::span<const Run> runs) {
  SplitRuns split = split_runs(runs, kFaultPieceBytes);
  KVFERRY_RETURN_IF_ERROR(move(posted, split.after));
  const RequestId id{kOwnRequest | fault_->piece};
  const bool moves_later = fault_->kind == FaultKind::kDelay;
  {
    const std::lock_guard lock{mutex_};
    pending_[id.value()].moves_later = moves_later;
  }
  if (moves_later) {
    move_later(posted, std::move(split.before), id);
  }
  return std::optional<RequestId>{id};
}

void FaultyAgent::move_later(const Posted& posted, std::vector<Run> piece, RequestId id) {
  const TimePoint when = std::chrono::steady_clock::now() + fault_->delay;
  delayed_ = std::thread{[this, posted, piece = std::move(piece), id, when] {
    {
      std::unique_lock lock{mutex_};
      if (ends_.wait_until(lock, when, [this] { return ending_; })) {
        return;
      }
    }
    auto moved = move(posted, piece);
    const std::lock_guard lock{mutex_};
    Pending& pending = pending_.at(id.value());
    pending.done = true;
    if (!moved) {
      pending.error = std::move(moved).error();
    }
  }};
}

Result<RequestState> FaultyAgent::poll(RequestId id) {
  if ((id.value() & kOwnRequest) == 0) {
    return inner_->poll(id);
  }
  const std::lock_guard lock{mutex_};
  const auto found = pending_.find(id.value());
  if (found == pending_.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 "request " + std::to_string(id.value()) + " is not known"};
  }
  const Pending& pending = found->second;
  if (pending.error) {
    return *pending.error;
  }
  if (pending.cancelled && !pending.moves_later) {
    return Error{ErrorCode::kCancelled, "the request was cancelled"};
  }
  return pending.done ? RequestState::kDone : RequestState::kPending;
}

void FaultyAgent::cancel(RequestId id) {
  if ((id.value() & kOwnRequest) == 0) {
    inner_->cancel(id);
    return;
  }
  const std::lock_guard lock{mutex_};
  if (const auto found = pending_.find(id.value()); found != pending_.end()) {
    found->second.cancelled = true;
  }
}

bool FaultyAgent::quiet(RequestId id) {
  if ((id.value() & kOwnRequest) == 0) {
    return inner_->quiet(id);
  }
  const std::lock_guard lock{mutex_};
  const auto found = pending_.find(id.value());
  return found == pending_.end() || found->second.done ||
         (found->second.cancelled && !found->second.moves_later);
}

void FaultyAgent::release(RequestId id) {
  if ((id.value() & kOwnRequest) == 0) {
    inner_->release(id);
  } else if (quiet(id)) {
    const std::lock_guard lock{mutex_};
    pending_.erase(id.value());
  }
}

Result<void> FaultyAgent::notify(PeerId peer, std::span<const std::byte> message,
                                 TimePoint deadline) {
  const std::lock_guard lock{message_mutex_};
  std::vector<std::byte> sent{message.begin(), message.end()};
  const MessageFaults& faults = message_faults_;
  std::uint64_t dice = random_() % 100;
  const auto strikes = [&dice](unsigned share) {
    const bool hit = dice < share;
    dice = hit ? 100 : dice - share;  // 100 hits nothing more.
    return hit;
  };
  if (strikes(faults.lose)) {
    return {};
  }
  if (strikes(faults.reorder)) {
    reordered_.push_back({peer, std::move(sent)});
    return {};
  }
  if (strikes(faults.delay)) {
    delayed_messages_.push_back({peer, std::move(sent)});
    return {};
  }
  if (strikes(faults.corrupt) && !sent.empty()) {
    sent[random_() % sent.size()] ^= std::byte{1} << (random_() % 8);
  }
  const int copies = strikes(faults.duplicate) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    KVFERRY_RETURN_IF_ERROR(inner_->notify(peer, sent, deadline));
  }
  for (const Held& held : std::exchange(reordered_, {})) {
    KVFERRY_RETURN_IF_ERROR(inner_->notify(held.peer, held.message, deadline));
  }
  return {};
}

Result<void> FaultyAgent::deliver_delayed(TimePoint deadline) {
  const std::lock_guard lock{message_mutex_};
  for (const Held& held : std::exchange(delayed_messages_, {})) {
    KVFERRY_RETURN_IF_ERROR(inner_->notify(held.peer, held.message, deadline));
  }
  return {};
}

}  // namespace kvferry::testing
