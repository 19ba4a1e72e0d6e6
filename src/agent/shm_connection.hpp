// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "agent/peer_process.hpp"
#include "agent/shm_blob.hpp"
#include "agent/shm_protocol.hpp"
#include "agent/unix_socket.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::agent {

/// The caller's end of a connection to a peer's agent: asks one question at a time.
///
/// Threads: any; a second question waits, up to its deadline. Deadlines are moments of the
///          machine's clock.
class ShmConnection {
 public:
  /// Connects, makes sure that the same user and the announced agent answer, and takes hold of
  /// its process.
  ///
  /// Errors: kRefused for another user; kStale when another life of the agent answers;
  ///         kUnavailable; kDeadline; kBusy when the peer takes no more callers.
  [[nodiscard]] static Result<std::shared_ptr<ShmConnection>> open(const ShmBlob& peer,
                                                                   std::string_view own_name,
                                                                   TimePoint until);

  /// Asks for the files of memories, in the order of `ids`.
  [[nodiscard]] Result<std::vector<UniqueFd>> fetch(std::span<const std::uint64_t> ids,
                                                    TimePoint until);

  /// Sends a message and waits until the peer has it.
  ///
  /// Errors: kBusy when the peer takes no more; kInvalidArgument when it is too long for it;
  ///         kDeadline: then it may arrive later all the same.
  [[nodiscard]] Result<void> notify(std::span<const std::byte> message, TimePoint until);

  [[nodiscard]] const std::shared_ptr<PeerProcess>& process() const noexcept { return process_; }

  /// Whether the peer has closed it: a new one may work.
  [[nodiscard]] bool is_closed() const noexcept;

 private:
  struct Answer {
    PacketType type{PacketType::kError};
    std::vector<UniqueFd> descriptors;
  };

  ShmConnection(UniqueFd socket, std::shared_ptr<PeerProcess> process)
      : socket_{std::move(socket)}, process_{std::move(process)} {}

  [[nodiscard]] Result<Answer> ask(PacketType type, std::span<const std::byte> body,
                                   PacketType expected, TimePoint until);
  [[nodiscard]] Result<Answer> exchange(PacketType type, std::span<const std::byte> body,
                                        PacketType expected, TimePoint until);

  UniqueFd socket_;
  std::shared_ptr<PeerProcess> process_;
  Mutex mutex_;
  CondVar free_;
  bool in_use_ KVFERRY_GUARDED_BY(mutex_){false};
  std::uint32_t sequence_{0};  // Whoever set in_use_ owns it.
};

}  // namespace kvferry::agent
