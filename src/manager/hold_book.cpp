// SPDX-License-Identifier: Apache-2.0
#include "manager/hold_book.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;

/// How much longer than our own deadline the owner is asked to hold: so long a transfer may take to
/// end after it, and we to tell.
constexpr Duration kTellingTime = 1s;

std::string request(std::uint64_t number) { return "request " + std::to_string(number); }

}  // namespace

HeldBlocks::HeldBlocks(std::shared_ptr<HoldBook> book, ContactPtr owner,
                       std::uint64_t number) noexcept
    : book_{std::move(book)}, owner_{std::move(owner)}, number_{number} {}

HeldBlocks::~HeldBlocks() { end(Error{ErrorCode::kCancelled, "the transfer was not started"}); }

void HeldBlocks::end(const std::optional<Error>& error) {
  if (const ContactPtr owner = std::exchange(owner_, nullptr); owner != nullptr) {
    book_->tell(owner, number_, error);
    book_->forget_question(number_);
  }
}

Result<std::unique_ptr<HeldBlocks>> HoldBook::ask(const ContactPtr& owner, wire::Hold hold,
                                                  TimePoint deadline) {
  const std::uint64_t number = note_question(owner);
  const Duration left = deadline - asker_.clock->now();
  hold.duration =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(left, Duration::zero()) + kTellingTime);
  if (auto asked = put_question(owner, number, std::move(hold), deadline); !asked) {
    forget_question(number);
    if (asked.error().code == ErrorCode::kDeadline) {
      tell(owner, number, asked.error());  // It may have arrived all the same.
    }
    return std::move(asked).error().with_context("ask the owner");
  }
  auto answer = wait_for_answer(number, deadline);
  if (!answer) {
    const Error late{ErrorCode::kDeadline, "the owner did not answer " + request(number)};
    forget_question(number);
    tell(owner, number, late);
    return late;
  }
  if (!*answer) {
    forget_question(number);
    return std::move(*answer).error().with_context("the owner refuses");
  }
  return std::make_unique<HeldBlocks>(shared_from_this(), owner, number);
}

std::uint64_t HoldBook::note_question(const ContactPtr& owner) {
  const std::uint64_t number = ++*asker_.last_number;
  const MutexLock lock{mutex_};
  questions_.emplace(number, Question{owner, std::nullopt});
  return number;
}

void HoldBook::forget_question(std::uint64_t number) {
  const MutexLock lock{mutex_};
  questions_.erase(number);
}

Result<void> HoldBook::put_question(const ContactPtr& owner, std::uint64_t number, wire::Hold hold,
                                    TimePoint deadline) {
  const wire::ControlContact contact{asker_.worker, asker_.contact};
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<std::byte> bytes,
      wire::encode_control({{asker_.epoch, number}, contact, std::move(hold)}));
  return asker_.agent->notify(owner->id(), bytes, deadline);
}

std::optional<Result<void>> HoldBook::wait_for_answer(std::uint64_t number, TimePoint deadline) {
  const MutexLock lock{mutex_};
  const Question& question = questions_.at(number);
  while (!question.answer.has_value()) {
    if (!answered_.wait_before(mutex_, *asker_.clock, deadline)) {
      return std::nullopt;
    }
  }
  return question.answer;
}

void HoldBook::take(const std::string& sender, const wire::ControlMessage& message) {
  const auto* const refused = std::get_if<wire::Refused>(&message.body);
  const bool held = std::holds_alternative<wire::Held>(message.body);
  if (message.request.epoch != asker_.epoch || (refused == nullptr && !held)) {
    return;  // Meant for an earlier life of ours, whose leases have ended.
  }
  {
    const MutexLock lock{mutex_};
    const auto found = questions_.find(message.request.number);
    if (found != questions_.end()) {
      Question& question = found->second;
      if (question.owner->name() == sender && !question.answer.has_value()) {
        question.answer = held ? Result<void>{} : wire::harmless(refused->why);
        answered_.notify_all();
      }
      return;
    }
  }
  if (const ContactPtr owner = asker_.contacts->known(sender); held && owner != nullptr) {
    tell(owner, message.request.number, Error{ErrorCode::kDeadline, "the answer came too late"});
  }
}

void HoldBook::look_around() {
  std::vector<ContactPtr> owners;  // Let go of after the mutex.
  const MutexLock lock{mutex_};
  for (auto& [number, question] : questions_) {
    if (!question.answer.has_value()) {
      owners.push_back(question.owner);
      if (asker_.agent->liveness(question.owner->id()) == agent::Liveness::kDead) {
        question.answer = Error{ErrorCode::kUnavailable, "the owner has died"};
        answered_.notify_all();
      }
    }
  }
}

void HoldBook::tell(const ContactPtr& owner, std::uint64_t number,
                    const std::optional<Error>& error) {
  asker_.outbox->put(owner, {{asker_.epoch, number}, std::nullopt, wire::Release{error}});
}

}  // namespace kvferry::manager
