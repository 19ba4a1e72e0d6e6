// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "commands.hpp"
#include "exchange_option.hpp"
#include "kvferry/base/try.hpp"
#include "node.hpp"
#include "output.hpp"
#include "publishing.hpp"
#include "spec.hpp"
#include "trusting.hpp"

namespace kvferry::tool {
namespace {

/// The signals that end a worker, kept from every thread that is started later, so that only
/// wait() takes them.
class EndSignals {
 public:
  EndSignals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGHUP);  // A terminal that is closed ends its workers in good order.
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  /// Whether one of them came before anybody waited.
  [[nodiscard]] bool came() const {
    sigset_t pending{};
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGINT) == 1 || ::sigismember(&pending, SIGTERM) == 1 ||
           ::sigismember(&pending, SIGHUP) == 1;
  }
  void wait() const {
    int taken = 0;
    ::sigwait(&signals_, &taken);
  }

 private:
  sigset_t signals_{};
};

Outcome<int> serve(const WorkerOptions& options) {
  const EndSignals signals;
  std::signal(SIGPIPE, SIG_IGN);  // Whoever started it may stop reading what it prints.
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange, open_exchange(options.exchange));
  KVFERRY_RETURN_IF_ERROR(exchange::validate_name(options.node.name));
  KVFERRY_ASSIGN_OR_RETURN(const auto formats, parse_formats(options.publish));
  KVFERRY_ASSIGN_OR_RETURN(const Sealing seal, sealing_with(options.sign));
  if (std::ranges::find(formats, PublishedFormat::kEnvelope) == formats.end()) {
    if (options.sign) {
      return usage("--sign: only an envelope can be signed, and --publish names none");
    }
    if (!options.node.model.empty()) {
      return usage("--model: only an envelope tells it, and --publish names none");
    }
  }
  constexpr std::uint64_t kDefaultBlocks = 64;
  KVFERRY_ASSIGN_OR_RETURN(const Node node, Node::create(options.node, kDefaultBlocks));
  if (signals.came()) {
    return Failure{Error{ErrorCode::kCancelled, "interrupted before it was ready"}};
  }
  KVFERRY_ASSIGN_OR_RETURN(const Epoch epoch,
                           publish(*exchange, node, options.node.name, formats, seal));
  print("ready " + options.node.name + "\n");
  const bool told = flush_output();
  if (told) {
    signals.wait();
  }
  KVFERRY_RETURN_IF_ERROR(exchange->withdraw(options.node.name, epoch, exchange_deadline()));
  return told ? kExitYes : kExitUnavailable;
}

}  // namespace

int run_worker(const WorkerOptions& options) {
  const Outcome<int> done = serve(options);
  return done ? *done : fail(done.error());
}

}  // namespace kvferry::tool
