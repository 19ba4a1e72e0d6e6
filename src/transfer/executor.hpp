// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/waker.hpp"
#include "disk/queue.hpp"
#include "kvferry/agent/agent.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/base/run.hpp"
#include "kvferry/transfer/physical_layout.hpp"
#include "transfer/bounce_pool.hpp"

namespace kvferry::transfer {

/// What an executor is given at a time.
struct Posting {
  std::span<const Run> runs;        ///< may go when post() returns
  std::uint64_t transfer_bytes{0};  ///< of the whole transfer; 0: not told. Only a hint.
  /// Told when the request may have ended, where wakes() says so.
  std::weak_ptr<Waker> waker{};
};

/// What carries out runs between two fixed lists of regions. It knows no layout.
///
/// Threads: any, all methods.
class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// "host copy", "shm read".
  [[nodiscard]] virtual const std::string& route() const noexcept = 0;

  /// Most bytes of one post(); 0 where there is no limit.
  [[nodiscard]] virtual std::uint64_t largest_post_bytes() const noexcept = 0;

  /// Most posts of one transfer that may be without end at a time.
  [[nodiscard]] virtual std::size_t most_posts() const noexcept { return 1; }

  /// Whether it tells the posting's waker when a request may have ended; else somebody has to poll.
  [[nodiscard]] virtual bool wakes(agent::RequestId /*id*/) const { return false; }

  /// Whether a post is nothing but a copy by the caller, which cannot hang.
  [[nodiscard]] virtual bool only_copies() const noexcept { return false; }

  /// Moves the bytes of `posting.runs`; nothing: they have moved. Otherwise poll() tells.
  [[nodiscard]] virtual Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const = 0;
  [[nodiscard]] virtual Result<agent::RequestState> poll(agent::RequestId id) const = 0;
  virtual void cancel(agent::RequestId id) const = 0;
  [[nodiscard]] virtual bool quiet(agent::RequestId id) const = 0;
  virtual void release(agent::RequestId id) const = 0;

  /// Whether what has moved stays good when the other side becomes unavailable: a disk does not
  /// change what it was read for, an owner that dies may have.
  [[nodiscard]] virtual bool keeps_what_moved() const noexcept { return false; }

  /// Whether what has moved so far can be trusted: the other side still lives.
  ///
  /// Errors: kUnavailable when it does not.
  [[nodiscard]] virtual Result<void> check_owner() const = 0;

 protected:
  Executor() = default;
};

/// An executor inside this process: every post has moved its bytes when it returns, so no request
/// of it is ever known.
class HostCopyExecutor : public Executor {
 public:
  [[nodiscard]] const std::string& route() const noexcept final { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept final { return 0; }
  [[nodiscard]] bool only_copies() const noexcept override { return true; }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId /*id*/) const final {
    return agent::RequestState::kDone;
  }
  void cancel(agent::RequestId /*id*/) const final {}
  [[nodiscard]] bool quiet(agent::RequestId /*id*/) const final { return true; }
  void release(agent::RequestId /*id*/) const final {}
  [[nodiscard]] Result<void> check_owner() const final { return {}; }

 private:
  std::string route_{"host copy"};
};

/// Copies between two layouts of this process, which it keeps alive.
[[nodiscard]] std::unique_ptr<const Executor> make_host_executor(PhysicalLayoutPtr source,
                                                                 PhysicalLayoutPtr destination);

/// What a file executor reads into memory, or writes from it.
struct FileCopy {
  std::shared_ptr<disk::Queue> queue;  // shared: with the manager, which may go first
  disk::Direction direction{disk::Direction::kRead};
  PhysicalLayoutPtr on_disk;
  std::vector<std::byte*> memory;          ///< where each region of the other side begins
  std::shared_ptr<const void> keep_alive;  ///< what `memory` lies in
};

[[nodiscard]] std::unique_ptr<const Executor> make_file_executor(FileCopy copy);

/// Two hops through the memory of a pool, which is one region to both.
[[nodiscard]] std::unique_ptr<const Executor> make_staged_executor(
    std::unique_ptr<const Executor> into_bounce, std::unique_ptr<const Executor> out_of_bounce,
    std::shared_ptr<BouncePool> pool);

/// What an agent executor reads from and into, or writes.
struct AgentCopy {
  std::shared_ptr<agent::Agent> agent;  // shared: with the manager, which may go first
  agent::PeerId peer{};
  agent::Operation operation{agent::Operation::kRead};  ///< from the peer, or to it
  agent::PreparedSidePtr remote;                        ///< regions of the peer
  std::span<const Region> local;                        ///< regions of this process
  std::shared_ptr<const void> keep_alive{};             ///< what `local` lies in
};

/// Pulls from a peer's memory, or pushes into it, through an agent.
///
/// Errors: those of Agent::prepare_local().
[[nodiscard]] Result<std::unique_ptr<const Executor>> make_agent_executor(AgentCopy copy);

}  // namespace kvferry::transfer
