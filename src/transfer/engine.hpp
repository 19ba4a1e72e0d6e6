// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/log.hpp"
#include "kvferry/base/result.hpp"
#include "transfer/state.hpp"

namespace kvferry::transfer {

struct EngineOptions {
  std::size_t copy_threads{2};
  Duration shutdown_timeout{};  ///< how long the destructor waits for transfers to become quiet
  LogHook log{};
};

/// Carries out transfers: small ones on the thread that starts them, the rest on its copy threads,
/// which take turns so that a large transfer does not hold up a small one.
///
/// Threads: any; start() not during or after the destructor, though during shut_down().
class Engine {
 public:
  /// Transfers up to this many bytes are carried out inside start(): handing one to a thread costs
  /// about as much as copying it.
  static constexpr std::uint64_t kInlineBytes = std::uint64_t{256} * 1024;

  /// Errors: kInvalidArgument for no threads; kUnavailable when the system has none.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> create(EngineOptions options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// As shut_down(). What is not quiet then is kept for ever, with its memory, and logged.
  ~Engine();

  /// Cancels what is in flight and waits for it to become quiet, at most for shutdown_timeout. What
  /// is started afterwards is cancelled at once.
  void shut_down();

  void start(const std::shared_ptr<TransferState>& state);

  /// What tells the ends of its transfers.
  [[nodiscard]] const std::shared_ptr<Notifier>& notifier() const noexcept { return notifier_; }

  /// How many transfers are in flight or in quarantine, without those inside start().
  [[nodiscard]] std::size_t in_flight() const;

 private:
  class Core;

  Engine(std::shared_ptr<Core> core, EngineOptions options);

  std::shared_ptr<Core> core_;  // shared: with its threads, one of which may hang for ever
  std::vector<std::thread> threads_;
  std::shared_ptr<Notifier> notifier_ = std::make_shared<Notifier>();  // shared: with transfers
  EngineOptions options_;
};

}  // namespace kvferry::transfer
