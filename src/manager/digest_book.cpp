// SPDX-License-Identifier: Apache-2.0
#include "manager/digest_book.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::manager {
namespace {

using layout::Axis;

/// Wakes everybody, without a mutex: they may ask at once.
void wake_all(const std::vector<std::weak_ptr<Waker>>& wakers) {
  for (const std::weak_ptr<Waker>& one : wakers) {
    if (const auto waker = one.lock()) {
      waker->wake();
    }
  }
}

Result<std::vector<Digest>> answer_of(const wire::ControlMessage& message, std::size_t boxes) {
  if (const auto* const refused = std::get_if<wire::Refused>(&message.body)) {
    return wire::harmless(refused->why).with_context("the owner refuses to tell digests");
  }
  const auto& told = std::get<wire::ToldDigests>(message.body);
  if (told.digests.size() != boxes) {
    return Error{ErrorCode::kCorrupt, "the owner tells " + std::to_string(told.digests.size()) +
                                          " digests of " + std::to_string(boxes)};
  }
  return told.digests;
}

}  // namespace

std::uint64_t DigestBook::ask(const ContactPtr& owner, wire::AskDigests ask, TimePoint deadline,
                              std::weak_ptr<Waker> waker) {
  const std::uint64_t number = ++*asker_.last_number;
  const Duration left = std::max(deadline - asker_.clock->now(), Duration::zero());
  ask.duration =
      std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds{1});
  {
    const MutexLock lock{mutex_};
    questions_.emplace(number, Question{owner, ask.boxes.size(), std::move(waker)});
  }
  asker_.outbox->put(owner, {{asker_.epoch, number},
                             wire::ControlContact{asker_.worker, asker_.contact},
                             std::move(ask)});
  return number;
}

std::optional<Result<std::vector<Digest>>> DigestBook::take_answer(std::uint64_t number) {
  Question question;  // Ends after the mutex.
  const MutexLock lock{mutex_};
  const auto found = questions_.find(number);
  if (found == questions_.end() || !found->second.answer) {
    return std::nullopt;
  }
  question = std::move(found->second);
  questions_.erase(found);
  return std::move(question.answer);
}

void DigestBook::give_up(std::uint64_t number) {
  Question question;
  {
    const MutexLock lock{mutex_};
    const auto found = questions_.find(number);
    if (found == questions_.end()) {
      return;
    }
    question = std::move(found->second);
    questions_.erase(found);
  }
  if (!question.answer) {
    asker_.outbox->put(question.owner,
                       {{asker_.epoch, number},
                        std::nullopt,
                        wire::Release{Error{ErrorCode::kCancelled, "not wanted any more"}}});
  }
}

void DigestBook::take(const std::string& sender, const wire::ControlMessage& message) {
  const bool answers = std::holds_alternative<wire::ToldDigests>(message.body) ||
                       std::holds_alternative<wire::Refused>(message.body);
  if (message.request.epoch != asker_.epoch || !answers) {
    return;
  }
  std::vector<std::weak_ptr<Waker>> waiting;
  {
    const MutexLock lock{mutex_};
    const auto found = questions_.find(message.request.number);
    if (found == questions_.end() || found->second.owner->name() != sender ||
        found->second.answer) {
      return;
    }
    found->second.answer = answer_of(message, found->second.boxes);
    waiting.push_back(found->second.waker);
  }
  wake_all(waiting);
}

void DigestBook::look_around() {
  std::vector<ContactPtr> owners;  // Let go of after the mutex.
  std::vector<std::weak_ptr<Waker>> waiting;
  {
    const MutexLock lock{mutex_};
    for (auto& [number, question] : questions_) {
      owners.push_back(question.owner);
      if (!question.answer &&
          asker_.agent->liveness(question.owner->id()) == agent::Liveness::kDead) {
        question.answer = Error{ErrorCode::kUnavailable, "the owner has died and tells no digests"};
        waiting.push_back(question.waker);
      }
    }
  }
  wake_all(waiting);
}

OwnerTeller::~OwnerTeller() {
  for (const std::uint64_t number : asked_) {
    book_->give_up(number);
  }
}

Result<void> OwnerTeller::ask(const std::string& plane, const layout::LayoutView& part,
                              std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& waker) {
  const layout::Plane* const found = layout::find_plane(layout_->told.planes, plane);
  const layout::LayoutView& whole = found == nullptr ? layout_->told.view : found->view;
  const auto first = [&](Axis axis) { return part.axis(axis).origin - whole.axis(axis).origin; };
  wire::AskDigests ask;
  ask.layout = layout_->told.handle;
  ask.plane = plane;
  ask.first_outer = first(Axis::kOuter);
  ask.outers = part.axis(Axis::kOuter).extent;
  ask.first_head = part.is_opaque() ? 0 : first(Axis::kHead);
  ask.heads = part.is_opaque() ? 0 : part.axis(Axis::kHead).extent;
  ask.boxes = std::move(boxes);
  for (DigestBox& box : ask.boxes) {
    box.layer -= whole.axis(Axis::kLayer).origin;
  }
  asked_.push_back(book_->ask(owner_, std::move(ask), deadline_, waker));
  return {};
}

Result<void> OwnerTeller::take(std::vector<Digest>& to) {
  while (!asked_.empty()) {
    auto answer = book_->take_answer(asked_.front());
    if (!answer) {
      return {};
    }
    asked_.pop_front();
    KVFERRY_ASSIGN_OR_RETURN(const std::vector<Digest> digests, *std::move(answer));
    to.insert(to.end(), digests.begin(), digests.end());
  }
  return {};
}

}  // namespace kvferry::manager
