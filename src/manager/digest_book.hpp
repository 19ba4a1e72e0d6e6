// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "manager/hold_book.hpp"
#include "manager/registry.hpp"
#include "transfer/verification.hpp"

namespace kvferry::manager {

/// The reader's side of digests: what we asked owners for, and what they answered.
///
/// Threads: any.
/// Source:  docs/spec/control.md, section 5.
class DigestBook {
 public:
  explicit DigestBook(Asker asker) : asker_{std::move(asker)} {}

  /// Asks without waiting; the owner has until `deadline`. Says the question's number.
  [[nodiscard]] std::uint64_t ask(const ContactPtr& owner, wire::AskDigests ask, TimePoint deadline,
                                  std::weak_ptr<Waker> waker);
  /// The answer; nothing: there is none yet.
  [[nodiscard]] std::optional<Result<std::vector<Digest>>> take_answer(std::uint64_t number);
  /// Tells the owner that an answer is not wanted any more, unless it has come.
  void give_up(std::uint64_t number);

  /// What a peer's agent sent: an answer.
  void take(const std::string& sender, const wire::ControlMessage& message);
  /// Gives up what was asked of owners that have died.
  void look_around();

 private:
  struct Question {
    ContactPtr owner;
    std::size_t boxes{0};
    std::weak_ptr<Waker> waker;
    std::optional<Result<std::vector<Digest>>> answer{};
  };

  const Asker asker_;
  Mutex mutex_;
  std::map<std::uint64_t, Question> questions_ KVFERRY_GUARDED_BY(mutex_);
};

/// Digests of a peer's layout, as its owner tells them.
class OwnerTeller final : public transfer::DigestTeller {
 public:
  OwnerTeller(std::shared_ptr<DigestBook> book, ContactPtr owner, RemoteLayoutPtr layout,
              TimePoint deadline)
      : book_{std::move(book)},
        owner_{std::move(owner)},
        layout_{std::move(layout)},
        deadline_{deadline} {}
  ~OwnerTeller() override;

  [[nodiscard]] std::size_t most_boxes() const noexcept override { return wire::kDigestsMax; }
  [[nodiscard]] bool may_ask() const override { return asked_.size() < kMostAsked; }
  Result<void> ask(const std::string& plane, const layout::LayoutView& part,
                   std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& waker) override;
  Result<void> take(std::vector<Digest>& to) override;

 private:
  /// Questions at a time: while one is answered the next is on its way.
  static constexpr std::size_t kMostAsked = 4;

  std::shared_ptr<DigestBook> book_;  // shared: with the manager, which may go first
  ContactPtr owner_;
  RemoteLayoutPtr layout_;
  TimePoint deadline_;
  std::deque<std::uint64_t> asked_;
};

}  // namespace kvferry::manager
