// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/agent/agent.hpp"

namespace kvferry::manager {

class Contacts;

/// A peer that is loaded into the agent, until the last one lets go of this.
class Contact {
 public:
  Contact(std::shared_ptr<Contacts> book, std::string name, agent::PeerId id) noexcept;
  Contact(const Contact&) = delete;
  Contact& operator=(const Contact&) = delete;
  ~Contact();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] agent::PeerId id() const noexcept { return id_; }

 private:
  std::shared_ptr<Contacts> book_;  // shared: with the manager, which may go before what it sends
  std::string name_;
  agent::PeerId id_;
};
// Shared: an imported worker, a reader that holds blocks, a message that is to be sent.
using ContactPtr = std::shared_ptr<const Contact>;

/// Which peers are loaded into an agent, so that who imports a worker and who answers it use the
/// same one.
///
/// Threads: any. Calls about one name follow each other.
class Contacts : public std::enable_shared_from_this<Contacts> {
 public:
  Contacts(std::shared_ptr<agent::Agent> agent, std::shared_ptr<const Clock> clock) noexcept
      : agent_{std::move(agent)}, clock_{std::move(clock)} {}

  /// The peer of that name, if it is loaded; null otherwise.
  [[nodiscard]] ContactPtr known(const std::string& name);

  /// Loads a peer with its memory.
  ///
  /// Errors: as Agent::load_peer(); kBusy when it is imported already.
  [[nodiscard]] Result<ContactPtr> import(const std::string& name, std::span<const std::byte> blob,
                                          TimePoint deadline);

  /// Replaces what is known of an imported peer.
  ///
  /// Errors: as Agent::update_peer().
  [[nodiscard]] Result<void> update(const ContactPtr& contact, std::span<const std::byte> blob,
                                    TimePoint deadline);

  /// Takes an import back: its memory is not reachable any more, whoever else keeps the contact.
  void forget(const ContactPtr& contact);

  /// A peer that can be answered, by its contact metadata. One that is imported and runs is left
  /// as it is, because that says more.
  ///
  /// Errors: as Agent::load_peer() and update_peer().
  [[nodiscard]] Result<ContactPtr> meet(const std::string& name, std::span<const std::byte> blob,
                                        TimePoint deadline);

 private:
  friend class Contact;

  /// There is one for a name while a contact of it exists or is being made.
  struct Entry {
    std::weak_ptr<const Contact> contact;
    std::vector<std::byte> met;  ///< contact metadata; empty when it was only imported
    bool imported{false};
    bool busy{false};  ///< a call is at work; all others about this name wait
  };

  /// Waits for other calls about `name`, then makes its entry the caller's until settle().
  [[nodiscard]] Result<ContactPtr> begin(const std::string& name, TimePoint deadline);
  /// Drops the entry again where there is no contact.
  void settle(const std::string& name, const ContactPtr& contact);
  [[nodiscard]] Entry* find(const std::string& name) KVFERRY_REQUIRES(mutex_);
  /// Loads a peer, or updates the one that is there.
  [[nodiscard]] Result<ContactPtr> load_or_update(const std::string& name,
                                                  const ContactPtr& contact,
                                                  std::span<const std::byte> blob,
                                                  TimePoint deadline);
  void let_go(const std::string& name, agent::PeerId id);

  const std::shared_ptr<agent::Agent> agent_;  // shared: with the manager
  const std::shared_ptr<const Clock> clock_;   // shared: likewise
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Entry> entries_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::manager
