// SPDX-License-Identifier: Apache-2.0
#include "manager/peer_service.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::manager {
namespace {

/// How long the end of a manager waits for owners that have to be told something.
constexpr Duration kFarewell{std::chrono::seconds{1}};
constexpr Duration kWakeAgain{std::chrono::milliseconds{20}};

}  // namespace

PeerService::PeerService(Options options, const Asker& asker, const Registry& registry)
    : agent_{options.desk.agent},
      clock_{options.desk.clock},
      log_{options.desk.log},
      outbox_{options.desk.outbox},
      book_{std::make_shared<HoldBook>(asker)},
      digests_{std::make_shared<DigestBook>(asker)},
      desk_{std::move(options.desk), registry} {}

Result<std::unique_ptr<PeerService>> PeerService::start(Options options, const Registry& registry) {
  KVFERRY_ASSIGN_OR_RETURN(std::vector<std::byte> contact, options.desk.agent->contact_metadata());
  const Asker asker{options.desk.agent, options.desk.contacts, options.desk.outbox,
                    options.desk.clock, options.worker,        options.epoch,
                    std::move(contact)};
  // make_unique cannot reach the private constructor.
  std::unique_ptr<PeerService> service{new PeerService{std::move(options), asker, registry}};
  try {
    service->thread_ = std::thread{[made = service.get()] { made->run(); }};
  } catch (const std::system_error& failure) {
    return Error{ErrorCode::kUnavailable, std::string{"cannot start a thread: "} + failure.what()};
  }
  return service;
}

PeerService::~PeerService() {
  stopping_.store(true);
  if (thread_.joinable()) {
    wake_until_ended();
    thread_.join();
  }
  desk_.close();
}

Result<std::unique_ptr<HeldBlocks>> PeerService::hold(const ContactPtr& owner, wire::Hold hold,
                                                      TimePoint deadline) {
  if (std::this_thread::get_id() == runs_on_.load()) {
    return Error{ErrorCode::kInvalidArgument,
                 "hold_source: a lease hook would wait for the thread that it runs on"};
  }
  return book_->ask(owner, std::move(hold), deadline);
}

/// Again and again: whoever else waits for the agent may have been woken instead.
void PeerService::wake_until_ended() {
  const MutexLock lock{mutex_};
  while (!ended_) {
    agent_->wake();
    end_.wait_for(mutex_, kWakeAgain);
  }
}

void PeerService::run() {
  runs_on_.store(std::this_thread::get_id());
  work();
  const MutexLock lock{mutex_};
  ended_ = true;
  end_.notify_all();
}

void PeerService::work() {
  TimePoint end = TimePoint::max();
  while (clock_->now() < end) {
    const TimePoint next = std::min({desk_.next_deadline(), outbox_->next_deadline(), end});
    const auto woken = agent_->wait(next);
    if (!woken && woken.error().code != ErrorCode::kDeadline) {
      return;  // A forked child, where nothing of this is ours.
    }
    take_messages();
    desk_.look_around();
    book_->look_around();
    digests_->look_around();
    if (stopping_.load() && end == TimePoint::max()) {
      end = deadline_after(clock_->now(), kFarewell);
    }
    outbox_->send(end);
    if (stopping_.load() && outbox_->next_deadline() == TimePoint::max()) {
      return;
    }
  }
}

void PeerService::take_messages() {
  for (const agent::Notification& got : agent_->take_notifications()) {
    take(got);
  }
}

void PeerService::take(const agent::Notification& got) {
  const auto frame = wire::open_control(got.bytes);
  if (!frame) {
    if (log_) {
      log_(LogLevel::kWarn, "message of \"" + got.sender + "\": " + frame.error().message);
    }
    return;
  }
  const auto message = wire::read_control(*frame);
  if (message) {
    book_->take(got.sender, *message);
    digests_->take(got.sender, *message);
  }
  desk_.take(got.sender, *frame, message);
}

}  // namespace kvferry::manager
