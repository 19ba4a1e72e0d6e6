// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/peer_process.hpp"
#include "agent/shm_protocol.hpp"
#include "agent/shm_registry.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/agent/shm_agent.hpp"

namespace kvferry::agent {

/// The answering end of a ShmAgent: one thread that gives peers the files of registered memory,
/// takes their notifications, and learns of the end of processes.
///
/// Threads: any.
class ShmServer {
 public:
  struct Options {
    std::string socket_path;
    memory::Nonce instance{};
    ShmLimits limits;
    LogHook log;
  };

  /// Listens and starts the thread. `registry` outlives the server.
  ///
  /// Errors: kUnavailable when the system refuses.
  [[nodiscard]] static Result<std::unique_ptr<ShmServer>> start(Options options,
                                                                const ShmRegistry& registry);
  ShmServer(const ShmServer&) = delete;
  ShmServer& operator=(const ShmServer&) = delete;
  /// Ends the thread, which never waits for a peer, and removes the socket.
  ~ShmServer();

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] std::vector<Notification> take_notifications();

  /// As Agent::wait() and wake(); says whether something came, and waits by the machine's clock.
  [[nodiscard]] bool wait(TimePoint until);
  void wake();

  /// Marks `process` dead as soon as it ends.
  [[nodiscard]] Result<void> watch(const std::shared_ptr<PeerProcess>& process);

 private:
  struct Connection {
    UniqueFd socket;
    std::string peer;  ///< empty until it said hello
  };
  using Token = std::uint64_t;

  ShmServer(Options options, const ShmRegistry& registry)
      : options_{std::move(options)}, registry_{registry} {}

  [[nodiscard]] Result<void> set_up();
  [[nodiscard]] Result<void> add_to_epoll(int descriptor, std::uint32_t events, Token token) const;
  void run();
  void accept_one();
  void refuse_without_descriptors();
  void serve(Token token);
  /// Answers one packet; an error ends the connection.
  [[nodiscard]] Result<void> answer(Connection& connection, std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> answer_hello(Connection& connection, const Packet& packet) const;
  [[nodiscard]] Result<void> answer_ask(const Connection& connection, const Packet& packet) const;
  [[nodiscard]] Result<void> take(const std::string& peer, std::span<const std::byte> message);
  void note_death(Token token);
  void log(LogLevel level, const std::string& message) const;

  Options options_;
  const ShmRegistry& registry_;
  UniqueFd listener_;
  UniqueFd epoll_;
  UniqueFd stop_;
  UniqueFd spare_;                           ///< given up to refuse a caller when all are used
  std::map<Token, Connection> connections_;  // Of the thread alone.

  Mutex mutex_;
  CondVar news_;
  std::vector<Notification> notifications_ KVFERRY_GUARDED_BY(mutex_);
  bool woken_ KVFERRY_GUARDED_BY(mutex_){false};  ///< by a death or by wake()
  std::map<Token, std::weak_ptr<PeerProcess>> watched_ KVFERRY_GUARDED_BY(mutex_);
  Token next_token_ KVFERRY_GUARDED_BY(mutex_){2};  ///< even: a process; odd: a connection

  Token next_connection_{3};  // Of the thread alone.
  std::thread thread_;
};

}  // namespace kvferry::agent
