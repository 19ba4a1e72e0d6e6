// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/mutex.hpp"
#include "kvferry/base/try.hpp"
#include "transfer/bounce_pool.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

/// Most requests of one transfer between two hops: enough that both are always busy.
constexpr std::size_t kMostPosts = 16;

/// Where the way of some runs through the bounce has come to.
enum class At : std::uint8_t { kWaiting, kFirstHop, kSecondHop, kEnd };

struct Staged {
  std::vector<Run> first;   ///< into the bounce; its offsets count from the slot until there is one
  std::vector<Run> second;  ///< out of it
  std::weak_ptr<Waker> waker;
  At at{At::kWaiting};
  BouncePool::Place place{};  ///< in the line for a slot
  std::optional<std::uint64_t> slot;
  std::optional<agent::RequestId> hop;  ///< the request of the hop that is under way
  bool stopped{false};
};

/// Appends a run in two: packed into the bounce at `offset`, and out of it.
void append(const Run& run, std::uint64_t offset, Staged& staged) {
  const RunEnd packed{0, offset, run.count == 1 ? 0 : run.bytes};
  staged.first.push_back({run.source, packed, run.bytes, run.count});
  staged.second.push_back({packed, run.destination, run.bytes, run.count});
}

class StagedExecutor final : public Executor {
 public:
  StagedExecutor(std::unique_ptr<const Executor> first, std::unique_ptr<const Executor> second,
                 std::shared_ptr<BouncePool> pool)
      : route_{first->route() + " + " + second->route()},
        first_{std::move(first)},
        second_{std::move(second)},
        pool_{std::move(pool)} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override {
    std::uint64_t least = pool_->slot_bytes();
    for (const Executor* hop : {first_.get(), second_.get()}) {
      least = hop->largest_post_bytes() == 0 ? least : std::min(least, hop->largest_post_bytes());
    }
    return least;
  }
  [[nodiscard]] std::size_t most_posts() const noexcept override {
    return std::min(kMostPosts, pool_->slots());
  }
  [[nodiscard]] bool wakes(agent::RequestId id) const override {
    const Staged* const staged = find(id);
    return staged == nullptr || !staged->hop.has_value() || hop_of(*staged).wakes(*staged->hop);
  }

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    auto staged = std::make_unique<Staged>();
    staged->waker = posting.waker;
    std::uint64_t offset = 0;
    for (const Run& run : posting.runs) {
      append(run, offset, *staged);
      offset += run.total_bytes();
    }
    if (auto begun = go_on(*staged); !begun) {
      leave_pool(*staged);  // What fails at once has nothing under way.
      return std::move(begun).error();
    }
    const MutexLock lock{mutex_};
    const agent::RequestId id{next_id_++};
    requests_.emplace(id, std::move(staged));
    return std::optional{id};
  }

  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    Staged* const staged = find(id);
    if (staged == nullptr) {
      return agent::RequestState::kDone;
    }
    KVFERRY_RETURN_IF_ERROR(go_on(*staged));
    return staged->at == At::kEnd ? agent::RequestState::kDone : agent::RequestState::kPending;
  }

  void cancel(agent::RequestId id) const override {
    if (Staged* const staged = find(id)) {
      staged->stopped = true;
      if (staged->hop.has_value()) {
        hop_of(*staged).cancel(*staged->hop);
      }
    }
  }

  [[nodiscard]] bool quiet(agent::RequestId id) const override {
    const Staged* const staged = find(id);
    return staged == nullptr || is_quiet(*staged);
  }

  void release(agent::RequestId id) const override {
    Staged* const staged = find(id);
    if (staged == nullptr || !is_quiet(*staged)) {
      return;
    }
    if (staged->hop.has_value()) {
      hop_of(*staged).release(*staged->hop);
    }
    leave_pool(*staged);
    const MutexLock lock{mutex_};
    requests_.erase(id);
  }

  [[nodiscard]] bool keeps_what_moved() const noexcept override {
    return first_->keeps_what_moved() && second_->keeps_what_moved();
  }
  [[nodiscard]] Result<void> check_owner() const override {
    KVFERRY_RETURN_IF_ERROR(first_->check_owner());
    return second_->check_owner();
  }

 private:
  /// Stays where it is until it is released; used by one thread at a time, as its transfer is.
  [[nodiscard]] Staged* find(agent::RequestId id) const {
    const MutexLock lock{mutex_};
    const auto found = requests_.find(id);
    return found == requests_.end() ? nullptr : found->second.get();
  }

  void leave_pool(Staged& staged) const {
    if (staged.slot.has_value()) {
      pool_->give_back(*staged.slot);
    } else {
      pool_->leave(staged.place);
    }
  }

  [[nodiscard]] const Executor& hop_of(const Staged& staged) const {
    return staged.at == At::kFirstHop ? *first_ : *second_;
  }

  [[nodiscard]] bool is_quiet(const Staged& staged) const {
    return staged.at == At::kEnd ||
           (staged.stopped && (!staged.hop.has_value() || hop_of(staged).quiet(*staged.hop)));
  }

  /// Carries runs on as far as they go without waiting.
  [[nodiscard]] Result<void> go_on(Staged& staged) const {
    while (staged.at != At::kEnd) {
      if (staged.hop.has_value()) {
        KVFERRY_ASSIGN_OR_RETURN(const agent::RequestState state, hop_of(staged).poll(*staged.hop));
        if (state == agent::RequestState::kPending) {
          return {};
        }
        hop_of(staged).release(*staged.hop);
        staged.hop.reset();
      }
      if (staged.stopped || (staged.at == At::kWaiting && !take_slot(staged))) {
        return {};
      }
      KVFERRY_RETURN_IF_ERROR(begin_next_hop(staged));
    }
    return {};
  }

  [[nodiscard]] bool take_slot(Staged& staged) const {
    staged.slot = pool_->take(staged.place, staged.waker);
    if (!staged.slot.has_value()) {
      return false;
    }
    for (Run& run : staged.first) {
      run.destination.offset_bytes += *staged.slot;
    }
    for (Run& run : staged.second) {
      run.source.offset_bytes += *staged.slot;
    }
    return true;
  }

  [[nodiscard]] Result<void> begin_next_hop(Staged& staged) const {
    if (staged.at == At::kSecondHop) {
      staged.at = At::kEnd;
      return {};
    }
    const bool first = staged.at == At::kWaiting;
    staged.at = first ? At::kFirstHop : At::kSecondHop;
    KVFERRY_ASSIGN_OR_RETURN(
        staged.hop, hop_of(staged).post({first ? staged.first : staged.second, 0, staged.waker}));
    return {};
  }

  std::string route_;
  std::unique_ptr<const Executor> first_;
  std::unique_ptr<const Executor> second_;
  std::shared_ptr<BouncePool> pool_;  // shared: with other lanes
  mutable Mutex mutex_;
  mutable std::uint64_t next_id_ KVFERRY_GUARDED_BY(mutex_){1};
  mutable std::unordered_map<agent::RequestId, std::unique_ptr<Staged>> requests_
      KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<const Executor> make_staged_executor(std::unique_ptr<const Executor> into_bounce,
                                                     std::unique_ptr<const Executor> out_of_bounce,
                                                     std::shared_ptr<BouncePool> pool) {
  return std::make_unique<const StagedExecutor>(std::move(into_bounce), std::move(out_of_bounce),
                                                std::move(pool));
}

}  // namespace kvferry::transfer
