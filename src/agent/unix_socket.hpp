// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::agent {

/// Most file descriptors in one packet; the kernel takes up to 253.
inline constexpr std::size_t kDescriptorsPerPacketMax = 64;

/// Who is at the other end of a socket, as the kernel says.
struct Credentials {
  pid_t process{0};  ///< 0 when it lives in a process namespace that cannot be seen from here
  uid_t user{0};
};

struct ReceivedPacket {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> descriptors;
};

/// Makes sure that `path` is a directory that only this user can write to; makes it if it is not
/// there.
///
/// Errors: kRefused naming the owner or the mode; kUnavailable when the system refuses.
[[nodiscard]] Result<void> make_private_directory(const std::string& path);

/// Removes the sockets in a directory that nobody listens at: those of killed processes. One that
/// was made within the last minute may be about to listen, and stays.
void remove_dead_sockets(const std::string& directory);

/// Makes a listening SOCK_SEQPACKET socket at `path`, without blocking calls.
[[nodiscard]] Result<UniqueFd> listen_at(const std::string& path);

/// Connects to the socket at `path`; afterwards no call on it blocks. `until` is a moment of the
/// machine's clock, as everywhere below.
///
/// Errors: kUnavailable when nobody listens; kDeadline.
[[nodiscard]] Result<UniqueFd> connect_to(const std::string& path, TimePoint until);

[[nodiscard]] Result<Credentials> credentials_of(int socket);

/// Sends one packet, waiting for room until then; a moment in the past only tries.
///
/// Errors: kUnavailable when the other end is gone; kDeadline.
[[nodiscard]] Result<void> send_packet(int socket, std::span<const std::byte> bytes,
                                       std::span<const int> descriptors, TimePoint until);

/// Receives one packet of at most `bytes_max`.
///
/// Errors: kUnavailable when the other end is gone; kDeadline; kCorrupt for a longer packet.
[[nodiscard]] Result<ReceivedPacket> receive_packet(int socket, std::size_t bytes_max,
                                                    TimePoint until);

}  // namespace kvferry::agent
