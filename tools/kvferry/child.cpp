// SPDX-License-Identifier: Apache-2.0
#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

namespace kvferry::tool {
namespace {

Error system_error(const std::string& what) {
  return Error{ErrorCode::kUnavailable, what + ": " + std::strerror(errno)};
}

/// In the new process: becomes the program. Only calls that are safe after fork.
[[noreturn]] void become(const std::vector<char*>& arguments, int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() == parent && ::dup2(output, STDOUT_FILENO) >= 0) {
    ::execv("/proc/self/exe", arguments.data());
  }
  ::_exit(127);
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"kvferry"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return system_error("pipe");
  }
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process == 0) {
    become(pointers, pipe[1], parent);
  }
  ::close(pipe[1]);
  if (process < 0) {
    ::close(pipe[0]);
    return system_error("fork");
  }
  return Child{process, pipe[0]};
}

Child::~Child() {
  if (process_ > 0) {
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
  }
  if (output_ >= 0) {
    ::close(output_);
  }
}

Result<void> Child::wait_for_line(const std::string& line, TimePoint deadline) const {
  std::string got;
  while (got.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wanted{output_, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready == 0) {
      return Error{ErrorCode::kDeadline, "no \"" + line + "\" from the other process in time"};
    }
    std::array<char, 256> bytes{};
    const ssize_t count = ready < 0 ? -1 : ::read(output_, bytes.data(), bytes.size());
    if (count == 0) {
      return Error{ErrorCode::kUnavailable, "the other process ended before \"" + line + "\""};
    }
    if (count > 0) {
      got.append(bytes.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return system_error("read from the other process");
    }
  }
  if (got != line + "\n") {
    return Error{ErrorCode::kUnavailable, "the other process says \"" + got + "\""};
  }
  return {};
}

}  // namespace kvferry::tool
