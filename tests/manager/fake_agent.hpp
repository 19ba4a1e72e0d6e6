// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/agent/agent.hpp"
#include "wire/control.hpp"

namespace kvferry::testing {

/// An agent without memory whose peers do what the test says.
class FakeAgent final : public agent::Agent {
 public:
  struct Sent {
    std::string peer;
    wire::ControlMessage message;
  };

  /// How the peer of that name answers load_peer(), update_peer() and notify() from now on.
  void set_error(const std::string& peer, std::optional<Error> error) {
    const std::lock_guard lock{mutex_};
    errors_[peer] = std::move(error);
  }
  /// What happens while a peer is loaded.
  void set_load_hook(std::function<void()> hook) { load_hook_ = std::move(hook); }
  /// What happens while somebody asks whether a peer lives.
  void set_liveness_hook(std::function<void()> hook) { liveness_hook_ = std::move(hook); }
  void kill(const std::string& peer) {
    const std::lock_guard lock{mutex_};
    dead_.push_back(peer);
    woken_ = true;
    changed_.notify_all();
  }
  void deliver(const std::string& peer, std::vector<std::byte> bytes) {
    const std::lock_guard lock{mutex_};
    arrived_.push_back({peer, std::move(bytes)});
    changed_.notify_all();
  }
  [[nodiscard]] std::vector<Sent> take_sent() {
    const std::lock_guard lock{mutex_};
    return std::exchange(sent_, {});
  }
  /// Waits for the next message that is sent.
  [[nodiscard]] Sent next_sent() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return !sent_.empty(); });
    Sent first = std::move(sent_.front());
    sent_.erase(sent_.begin());
    return first;
  }
  [[nodiscard]] std::map<std::string, std::vector<std::byte>> loaded() {
    const std::lock_guard lock{mutex_};
    std::map<std::string, std::vector<std::byte>> all;
    for (const auto& [id, peer] : peers_) {
      all.insert(peer);
    }
    return all;
  }

  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] const agent::AgentFacts& facts() const noexcept override { return facts_; }
  Result<agent::RegistrationId> register_memory(memory::MemoryPtr, Access) override {
    return agent::RegistrationId{1};
  }
  Result<void> deregister_memory(agent::RegistrationId) override { return {}; }
  Result<std::vector<std::byte>> local_metadata() const override {
    return std::vector<std::byte>{std::byte{1}, std::byte{2}};
  }
  Result<std::vector<std::byte>> contact_metadata() const override {
    return std::vector<std::byte>{std::byte{1}};
  }
  Result<agent::PeerId> load_peer(std::string_view peer, std::span<const std::byte> blob,
                                  TimePoint) override {
    if (load_hook_) {
      load_hook_();
    }
    const std::lock_guard lock{mutex_};
    if (const auto error = error_of(std::string{peer})) {
      return *error;
    }
    peers_[++last_] = {std::string{peer}, {blob.begin(), blob.end()}};
    return agent::PeerId{last_};
  }
  Result<void> update_peer(agent::PeerId peer, std::span<const std::byte> blob,
                           TimePoint) override {
    const std::lock_guard lock{mutex_};
    if (const auto error = error_of(peers_.at(peer.value()).first)) {
      return *error;
    }
    peers_.at(peer.value()).second.assign(blob.begin(), blob.end());
    return {};
  }
  Result<void> forget_peer(agent::PeerId peer) override {
    const std::lock_guard lock{mutex_};
    peers_.erase(peer.value());
    return {};
  }
  [[nodiscard]] agent::Liveness liveness(agent::PeerId peer) const override {
    if (liveness_hook_) {
      liveness_hook_();
    }
    const std::lock_guard lock{mutex_};
    const auto found = peers_.find(peer.value());
    return found == peers_.end() ||
                   std::find(dead_.begin(), dead_.end(), found->second.first) != dead_.end()
               ? agent::Liveness::kDead
               : agent::Liveness::kAlive;
  }
  [[nodiscard]] std::optional<std::int32_t> process_of(agent::PeerId) const override {
    return std::nullopt;
  }
  Result<agent::PreparedSidePtr> prepare_local(std::span<const Region>) override { return none(); }
  Result<agent::PreparedSidePtr> prepare_remote(agent::PeerId, std::span<const Region>) override {
    return none();
  }
  Result<std::optional<agent::RequestId>> post(const agent::Request&) override { return none(); }
  Result<agent::RequestState> poll(agent::RequestId) override { return none(); }
  void cancel(agent::RequestId) override {}
  bool quiet(agent::RequestId) override { return true; }
  void release(agent::RequestId) override {}
  Result<void> notify(agent::PeerId peer, std::span<const std::byte> message, TimePoint) override {
    const std::lock_guard lock{mutex_};
    const auto found = peers_.find(peer.value());
    if (found == peers_.end()) {
      return Error{ErrorCode::kStale, "forgotten"};
    }
    if (const auto error = error_of(found->second.first)) {
      return *error;
    }
    sent_.push_back({found->second.first, *wire::read_control(*wire::open_control(message))});
    changed_.notify_all();
    return {};
  }
  std::vector<agent::Notification> take_notifications() override {
    const std::lock_guard lock{mutex_};
    return std::exchange(arrived_, {});
  }
  Result<void> wait(TimePoint deadline) override {
    std::unique_lock lock{mutex_};
    const auto news = [this] { return !arrived_.empty() || woken_; };
    const TimePoint latest = std::chrono::steady_clock::now() + std::chrono::hours{1};
    if (!changed_.wait_until(lock, std::min(deadline, latest), news)) {
      return Error{ErrorCode::kDeadline, ""};
    }
    woken_ = false;
    return {};
  }
  void wake() override {
    const std::lock_guard lock{mutex_};
    woken_ = true;
    changed_.notify_all();
  }

 private:
  static Error none() { return {ErrorCode::kUnavailable, "there is no memory"}; }
  [[nodiscard]] std::optional<Error> error_of(const std::string& peer) const {
    const auto found = errors_.find(peer);
    return found == errors_.end() ? std::nullopt : found->second;
  }

  const std::string name_{"here"};
  const agent::AgentFacts facts_{};
  std::function<void()> liveness_hook_;
  std::function<void()> load_hook_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::uint64_t last_{0};
  bool woken_{false};
  std::map<std::uint64_t, std::pair<std::string, std::vector<std::byte>>> peers_;
  std::map<std::string, std::optional<Error>> errors_;
  std::vector<std::string> dead_;
  std::vector<agent::Notification> arrived_;
  std::vector<Sent> sent_;
};

}  // namespace kvferry::testing
