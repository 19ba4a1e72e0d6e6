// SPDX-License-Identifier: Apache-2.0
#include "rust_program.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::bench {
namespace {

/// No answer is longer; more than this is not one.
constexpr std::size_t kAnswerBytesMax = 512;

Error system_error(std::string_view what) {
  return Error{ErrorCode::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno))};
}

/// In the new process: becomes the program. Only calls that are safe after fork.
[[noreturn]] void become(const char* path, int socket, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent && ::dup2(socket, STDIN_FILENO) >= 0 &&
      ::dup2(socket, STDOUT_FILENO) >= 0) {
    ::execl(path, path, static_cast<char*>(nullptr));
  }
  ::_exit(127);
}

/// Waits until `socket` is ready for `events`.
Result<void> await(int socket, std::int16_t events, TimePoint deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wanted{socket, events, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready > 0) {
      return {};
    }
    if (ready == 0) {
      return Error{ErrorCode::kDeadline, "the Rust program does not answer in time"};
    }
    if (errno != EINTR) {
      return system_error("poll");
    }
  }
}

Error ended() {
  return Error{ErrorCode::kUnavailable, "the Rust program ended instead of answering"};
}

Error nonsense(std::string_view answer) {
  return Error{ErrorCode::kCorrupt, fmt::format("the Rust program answers \"{}\"", answer)};
}

/// Whether a call that moved `count` bytes may be made again after waiting.
bool must_wait(ssize_t count) {
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

Result<void> send_all(int socket, std::string_view text, TimePoint deadline) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (must_wait(sent)) {
      KVFERRY_RETURN_IF_ERROR(await(socket, POLLOUT, deadline));
    } else {
      return ended();
    }
  }
  return {};
}

Result<std::string> receive_line(int socket, TimePoint deadline) {
  std::string line;
  while (line.find('\n') == std::string::npos) {
    KVFERRY_RETURN_IF_ERROR(await(socket, POLLIN, deadline));
    std::array<char, kAnswerBytesMax> bytes{};
    const ssize_t got = ::recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got > 0) {
      line.append(bytes.data(), static_cast<std::size_t>(got));
    } else if (!must_wait(got)) {
      return ended();
    }
    if (line.size() > kAnswerBytesMax) {
      return nonsense(line.substr(0, 64));
    }
  }
  if (line.find('\n') + 1 != line.size()) {
    return nonsense(line);  // More than one line for one command.
  }
  line.pop_back();
  return line;
}

}  // namespace

Result<double> seconds_told(std::string_view answer) {
  constexpr std::string_view kPrefix{"ns "};
  std::uint64_t nanoseconds{0};
  const char* const end = answer.data() + answer.size();
  if (!answer.starts_with(kPrefix)) {
    return nonsense(answer);
  }
  const auto read = std::from_chars(answer.data() + kPrefix.size(), end, nanoseconds);
  if (read.ec != std::errc{} || read.ptr != end || nanoseconds == 0) {
    return nonsense(answer);
  }
  return static_cast<double>(nanoseconds) / 1e9;
}

Result<RustProgram> RustProgram::start(const std::string& path,
                                       std::chrono::milliseconds patience) {
  if (::access(path.c_str(), X_OK) != 0) {
    return system_error(path);
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return system_error("socketpair");
  }
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process == 0) {
    become(path.c_str(), ends[1], parent);
  }
  ::close(ends[1]);
  if (process < 0) {
    ::close(ends[0]);
    return system_error("fork");
  }
  return RustProgram{process, ends[0], patience};
}

RustProgram::~RustProgram() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);  // It holds nothing that it could leave behind.
    ::waitpid(process_, nullptr, 0);
    ::close(socket_);
  }
}

Result<void> RustProgram::load(std::span<const std::byte> message) {
  std::string command{"message "};
  for (const std::byte byte : message) {
    command += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::string answer, ask(std::move(command)));
  return answer == "ok" ? Result<void>{} : nonsense(answer);
}

Result<double> RustProgram::seconds_of(std::string_view operation, int operations) {
  KVFERRY_ASSIGN_OR_RETURN(const std::string answer,
                           ask(fmt::format("{} {}", operation, operations)));
  return seconds_told(answer);
}

Result<std::string> RustProgram::ask(std::string command) {
  command += '\n';
  const TimePoint deadline = std::chrono::steady_clock::now() + patience_;
  KVFERRY_RETURN_IF_ERROR(send_all(socket_, command, deadline));
  return receive_line(socket_, deadline);
}

}  // namespace kvferry::bench
