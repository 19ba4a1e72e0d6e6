// SPDX-License-Identifier: Apache-2.0
#include "agent/unix_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "kvferry/base/try.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

using memory::system_error;

constexpr int kBacklog = 128;  // As many as may call at one moment; the kernel's own default bound.
// One second is longer than any packet waits on a machine that works, and short enough that the
// deadline is looked at again soon after a signal.
constexpr std::chrono::nanoseconds kWaitMax = std::chrono::seconds{1};

std::chrono::nanoseconds time_left(TimePoint until) {
  const TimePoint now = std::chrono::steady_clock::now();
  return until <= now ? std::chrono::nanoseconds{0} : until - now;
}

Error deadline_passed(std::string_view what) {
  return Error{ErrorCode::kDeadline, std::string{what} + ": the deadline passed"};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Error{ErrorCode::kInvalidArgument,
                 "socket path of " + std::to_string(path.size()) + " bytes of " +
                     std::to_string(sizeof(address.sun_path) - 1) + ": " + path};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// Waits until `socket` is ready for `events` or broken.
Result<void> wait_for(int socket, short events, TimePoint until, std::string_view what) {
  pollfd entry{socket, events, 0};
  while (true) {
    const auto left = std::min(time_left(until), kWaitMax);
    const timespec timeout{static_cast<std::time_t>(left / std::chrono::seconds{1}),
                           static_cast<long>((left % std::chrono::seconds{1}).count())};
    const int ready = ppoll(&entry, 1, &timeout, nullptr);
    if (ready > 0) {
      return {};
    }
    if (ready < 0 && errno != EINTR) {
      return system_error(ErrorCode::kUnavailable, what, errno);
    }
    if (time_left(until).count() == 0) {
      return deadline_passed(what);
    }
  }
}

/// connect() has no deadline of its own but keeps to the socket's timeout for sending.
void limit_connect(int socket, std::chrono::nanoseconds left) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
  timeval timeout{};
  timeout.tv_sec = static_cast<decltype(timeout.tv_sec)>(micros / 1'000'000);
  timeout.tv_usec = static_cast<decltype(timeout.tv_usec)>(micros % 1'000'000);
  if (micros == 0) {
    timeout.tv_usec = 1;  // Zero would mean for ever.
  }
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

std::vector<UniqueFd> descriptors_of(msghdr& header) {
  std::vector<UniqueFd> found;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t index = 0; index < count; ++index) {
        int number = -1;
        std::memcpy(&number, CMSG_DATA(part) + index * sizeof(int), sizeof(int));
        found.emplace_back(number);
      }
    }
  }
  return found;
}

}  // namespace

Result<void> make_private_directory(const std::string& path) {
  constexpr mode_t kOwnerOnly = 0700;
  if (mkdir(path.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
    return system_error(ErrorCode::kUnavailable, "cannot make directory " + path, errno);
  }
  const UniqueFd directory{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!directory) {
    return system_error(ErrorCode::kUnavailable, "cannot open directory " + path, errno);
  }
  struct stat status {};
  if (fstat(directory.get(), &status) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot look at directory " + path, errno);
  }
  if (status.st_uid != geteuid()) {
    return Error{ErrorCode::kRefused, "directory " + path + " is user " +
                                          std::to_string(status.st_uid) + "'s, not user " +
                                          std::to_string(geteuid()) + "'s"};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{ErrorCode::kRefused, "directory " + path + " may be written by others: chmod 700"};
  }
  return {};
}

namespace {

/// Whether a socket's file is old enough, and refuses callers because its process is gone.
bool is_dead_socket(const std::string& path) {
  constexpr std::chrono::minutes kYoung{1};
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return false;
  }
  const auto made = std::chrono::system_clock::from_time_t(status.st_mtime);
  if (std::chrono::system_clock::now() - made < kYoung) {
    return false;
  }
  const auto address = address_of(path);
  const UniqueFd caller{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return address && caller &&
         connect(caller.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) !=
             0 &&
         errno == ECONNREFUSED;
}

}  // namespace

void remove_dead_sockets(const std::string& directory) {
  std::error_code failure;
  for (std::filesystem::directory_iterator entry{directory, failure}, end; !failure && entry != end;
       entry.increment(failure)) {
    if (is_dead_socket(entry->path().string())) {
      unlink(entry->path().c_str());
    }
  }
}

Result<UniqueFd> listen_at(const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(const sockaddr_un address, address_of(path));
  UniqueFd made{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!made) {
    return system_error(ErrorCode::kUnavailable, "cannot make a socket", errno);
  }
  if (bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(made.get(), kBacklog) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot listen at " + path, errno);
  }
  return made;
}

Result<UniqueFd> connect_to(const std::string& path, TimePoint until) {
  KVFERRY_ASSIGN_OR_RETURN(const sockaddr_un address, address_of(path));
  UniqueFd made{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  if (!made) {
    return system_error(ErrorCode::kUnavailable, "cannot make a socket", errno);
  }
  while (true) {
    limit_connect(made.get(), std::min(time_left(until), kWaitMax));
    if (connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      break;
    }
    // EAGAIN: the other end has more callers than it answers.
    if (errno != EINTR && errno != EAGAIN) {
      return system_error(ErrorCode::kUnavailable, "cannot reach " + path, errno);
    }
    if (time_left(until).count() == 0) {
      return deadline_passed("reaching " + path);
    }
  }
  if (fcntl(made.get(), F_SETFL, O_NONBLOCK) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot set up a socket", errno);
  }
  return made;
}

Result<Credentials> credentials_of(int socket) {
  ucred found{};
  socklen_t size = sizeof(found);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot ask who is at the other end", errno);
  }
  return Credentials{found.pid, found.uid};
}

Result<void> send_packet(int socket, std::span<const std::byte> bytes,
                         std::span<const int> descriptors, TimePoint until) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kDescriptorsPerPacketMax * sizeof(int))>
      control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    KVFERRY_ASSERT(descriptors.size() <= kDescriptorsPerPacketMax, "too many descriptors");
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  while (sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EAGAIN) {
      KVFERRY_RETURN_IF_ERROR(wait_for(socket, POLLOUT, until, "sending"));
    } else if (errno != EINTR) {
      return system_error(ErrorCode::kUnavailable, "cannot send", errno);
    }
  }
  return {};
}

Result<ReceivedPacket> receive_packet(int socket, std::size_t bytes_max, TimePoint until) {
  ReceivedPacket packet;
  packet.bytes.resize(bytes_max);
  iovec part{packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kDescriptorsPerPacketMax * sizeof(int))>
      control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ssize_t got = 0;
  bool was_reset = false;
  while (true) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got >= 0) {
      break;
    }
    if (errno == EAGAIN) {
      KVFERRY_RETURN_IF_ERROR(wait_for(socket, POLLIN, until, "waiting for an answer"));
    } else if (errno == ECONNRESET && !was_reset) {
      was_reset = true;  // Told first, once; what the other end said before it closed comes now.
    } else if (errno != EINTR) {
      return system_error(ErrorCode::kUnavailable, "cannot receive", errno);
    }
  }
  packet.descriptors = descriptors_of(header);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return Error{ErrorCode::kCorrupt, "a packet is longer than " + std::to_string(bytes_max) +
                                          " bytes, or carries more "
                                          "than " +
                                          std::to_string(kDescriptorsPerPacketMax) + " files"};
  }
  if (got == 0) {
    return Error{ErrorCode::kUnavailable, "the other end closed the connection"};
  }
  packet.bytes.resize(static_cast<std::size_t>(got));
  return packet;
}

}  // namespace kvferry::agent
