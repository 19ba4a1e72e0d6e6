// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "agent/shm_blob.hpp"
#include "agent/shm_protocol.hpp"
#include "agent/unix_socket.hpp"
#include "base/unique_fd.hpp"

namespace kvferry::agent {

/// How long anything may take that is expected to work, on a machine under load.
inline TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{30}; }
/// How long to wait for what is expected not to come.
inline TimePoint shortly() {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds{100};
}

/// Runs `check` in a forked child, as user `user` if that is not 0; gives what it returned.
inline int in_child(uid_t user, const std::function<int()>& check) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(user != 0 && setuid(user) != 0 ? 100 : check());
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

/// A user that is not this one; only root can become it.
inline constexpr uid_t kStranger = 65'534;

/// Somebody at a socket who says what he likes, to one caller at a time.
class ForgedPeer {
 public:
  using Answer = std::function<void(int socket, const Packet& question)>;

  ForgedPeer(std::string path, Answer answer)
      : path_{std::move(path)},
        answer_{std::move(answer)},
        listener_{*listen_at(path_)},
        thread_{[this] { serve(); }} {}
  ForgedPeer(const ForgedPeer&) = delete;
  ForgedPeer& operator=(const ForgedPeer&) = delete;
  ~ForgedPeer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    unlink(path_.c_str());
  }

  /// A blob that leads here.
  [[nodiscard]] ShmBlob blob() const {
    ShmBlob made;
    made.name = "forged";
    made.socket_path = path_;
    made.user = geteuid();
    return made;
  }

  static void send(int socket, PacketType type, std::uint32_t sequence,
                   std::span<const std::byte> body = {}, std::span<const int> files = {}) {
    (void)send_packet(socket, encode_packet({type, sequence, body}), files, soon());
  }

 private:
  void serve() {
    pollfd entry{listener_.get(), POLLIN, 0};
    while (poll(&entry, 1, -1) > 0 && (entry.revents & POLLHUP) == 0) {
      const UniqueFd socket{
          accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      auto question = receive_packet(socket.get(), kPacketBytesMax, soon());
      while (question) {
        answer_(socket.get(), *decode_packet(question->bytes));
        question = receive_packet(socket.get(), kPacketBytesMax, soon());
      }
    }
  }

  std::string path_;
  Answer answer_;
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace kvferry::agent
