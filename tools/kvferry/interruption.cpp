// SPDX-License-Identifier: Apache-2.0
#include "interruption.hpp"

#include <atomic>
#include <csignal>

namespace kvferry::tool {
namespace {

// A signal handler can reach nothing but what is global.
std::atomic<bool> signal_came{false};

void note_signal(int /*signal*/) { signal_came.store(true); }

}  // namespace

void catch_interruption() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() noexcept { return signal_came.load(); }

}  // namespace kvferry::tool
