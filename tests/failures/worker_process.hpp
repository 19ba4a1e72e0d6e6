// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace kvferry::testing {

/// `kvferry worker` as a process of its own, in a directory of the test's. Its memory lies at the
/// same addresses in every life.
class WorkerProcess {
 public:
  /// Returns when peers can find it.
  WorkerProcess(const std::string& directory, const std::vector<std::string>& options) {
    std::array<int, 2> output{};
    EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
    std::vector<std::string> words{KVFERRY_TOOL, "worker", "--exchange", "dir:" + directory};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> arguments;
    for (std::string& word : words) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    std::string runtime = "XDG_RUNTIME_DIR=" + directory;
    std::array<char*, 2> environment{runtime.data(), nullptr};
    process_ = fork();
    if (process_ == 0) {
      personality(ADDR_NO_RANDOMIZE);
      dup2(output[1], STDOUT_FILENO);
      execve(KVFERRY_TOOL, arguments.data(), environment.data());
      _exit(127);
    }
    close(output[1]);
    std::string line;
    for (char c = 0; line.find('\n') == std::string::npos && ::read(output[0], &c, 1) == 1;) {
      line += c;
    }
    EXPECT_EQ(line.substr(0, 6), "ready ");
    output_ = output[0];
  }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess() {
    end(SIGKILL);
    close(output_);
  }

  [[nodiscard]] pid_t process() const noexcept { return process_; }

  /// Ends it, and returns when it has ended.
  void end(int signal) {
    if (process_ > 0) {
      ::kill(process_, signal);
      waitpid(process_, nullptr, 0);
      process_ = -1;
    }
  }

 private:
  pid_t process_{-1};
  int output_{-1};
};

}  // namespace kvferry::testing
