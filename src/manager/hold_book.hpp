// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.hpp"
#include "manager/outbox.hpp"

namespace kvferry::manager {

class HoldBook;

/// Blocks that an owner holds for us. Whoever lets go of it without a word has cancelled.
class HeldBlocks {
 public:
  HeldBlocks(std::shared_ptr<HoldBook> book, ContactPtr owner, std::uint64_t number) noexcept;
  HeldBlocks(const HeldBlocks&) = delete;
  HeldBlocks& operator=(const HeldBlocks&) = delete;
  ~HeldBlocks();

  /// Tells the owner, once, that they are no longer needed. Does not wait.
  void end(const std::optional<Error>& error);

 private:
  std::shared_ptr<HoldBook> book_;  // shared: with the manager, which may go before its transfers
  ContactPtr owner_;                ///< null after the end
  std::uint64_t number_;
};

/// Who asks, and the numbers of the questions.
struct Asker {
  std::shared_ptr<agent::Agent> agent;  // shared: with the manager
  std::shared_ptr<Contacts> contacts;   // shared: with the manager
  std::shared_ptr<Outbox> outbox;       // shared: with the manager
  std::shared_ptr<const Clock> clock;   // shared: with the manager
  WorkerId worker{};
  Epoch epoch{};
  std::vector<std::byte> contact;  ///< metadata of our agent
  // Shared: by all that asks, because an owner takes each number once.
  std::shared_ptr<std::atomic<std::uint64_t>> last_number =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

/// The reader's side of leases: what we asked owners for, and what they answered.
///
/// Threads: any.
/// Source:  docs/spec/control.md, section 4.
class HoldBook : public std::enable_shared_from_this<HoldBook> {
 public:
  explicit HoldBook(Asker asker) : asker_{std::move(asker)} {}

  /// Asks the owner, and waits for its answer. Needs somebody who calls take().
  ///
  /// Errors: the owner's; kDeadline when it does not answer; kUnavailable when it is dead; those of
  ///         Agent::notify() and wire::encode_control().
  [[nodiscard]] Result<std::unique_ptr<HeldBlocks>> ask(const ContactPtr& owner, wire::Hold hold,
                                                        TimePoint deadline);

  /// What a peer's agent sent: an answer.
  void take(const std::string& sender, const wire::ControlMessage& message);
  /// Gives up what was asked of owners that have died.
  void look_around();

 private:
  friend class HeldBlocks;

  /// Kept until it is refused or given up, or what is held ends.
  struct Question {
    ContactPtr owner;
    std::optional<Result<void>> answer;
  };

  [[nodiscard]] std::uint64_t note_question(const ContactPtr& owner);
  [[nodiscard]] Result<void> put_question(const ContactPtr& owner, std::uint64_t number,
                                          wire::Hold hold, TimePoint deadline);
  /// Nothing: none came.
  [[nodiscard]] std::optional<Result<void>> wait_for_answer(std::uint64_t number,
                                                            TimePoint deadline);
  void forget_question(std::uint64_t number);
  void tell(const ContactPtr& owner, std::uint64_t number, const std::optional<Error>& error);

  const Asker asker_;
  Mutex mutex_;
  CondVar answered_;
  std::map<std::uint64_t, Question> questions_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
