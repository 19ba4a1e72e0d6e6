// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace kvferry::testing {

/// lease_peer as a process of its own.
class LeaseProcess {
 public:
  explicit LeaseProcess(std::vector<std::string> words) {
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    EXPECT_EQ(pipe2(input.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
    words.insert(words.begin(), KVFERRY_LEASE_PEER);
    std::vector<char*> arguments;
    for (std::string& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      dup2(input[0], STDIN_FILENO);
      dup2(output[1], STDOUT_FILENO);
      execv(KVFERRY_LEASE_PEER, arguments.data());
      _exit(127);
    }
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    output_ = output[0];
  }
  LeaseProcess(const LeaseProcess&) = delete;
  LeaseProcess& operator=(const LeaseProcess&) = delete;
  ~LeaseProcess() {
    signal(SIGKILL);
    close(input_);
    close(output_);
    waitpid(process_, nullptr, 0);
  }

  void signal(int number) const { ::kill(process_, number); }

  /// The next line that it prints; empty when it has ended.
  [[nodiscard]] std::string line() const {
    std::string text;
    for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';) {
      text += c;
    }
    return text;
  }

 private:
  pid_t process_{-1};
  int input_{-1};
  int output_{-1};
};

}  // namespace kvferry::testing
