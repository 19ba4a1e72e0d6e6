// SPDX-License-Identifier: Apache-2.0
#include "interruption.hpp"

#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace kvferry::tool {
namespace {

// A signal handler can reach nothing but what is global.
std::atomic<bool> signal_came{false};
std::atomic<int> signal_event{-1};

enum class Stage : std::uint8_t { kBefore, kCancellable, kEnded };
std::atomic<Stage> stage{Stage::kBefore};

/// Goes on from kBefore to `next`, or is there already.
bool reach(Stage next) noexcept {
  Stage now{Stage::kBefore};
  return stage.compare_exchange_strong(now, next) || now == next;
}

void note_signal(int /*signal*/) {
  signal_came.store(true);
  const int error_number = errno;
  ::eventfd_write(signal_event.load(), 1);
  errno = error_number;
}

}  // namespace

void catch_interruption() {
  signal_event.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaction(signal, &action, nullptr);
  }
}

bool interrupted() noexcept { return signal_came.load(); }

bool begin_cancellable() noexcept { return reach(Stage::kCancellable); }

bool end_before_it_begins() noexcept { return reach(Stage::kEnded); }

int interruption_fd() noexcept { return signal_event.load(); }

}  // namespace kvferry::tool
