// SPDX-License-Identifier: Apache-2.0
#include "manager/contacts.hpp"

#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::manager {

Contact::Contact(std::shared_ptr<Contacts> book, std::string name, agent::PeerId id) noexcept
    : book_{std::move(book)}, name_{std::move(name)}, id_{id} {}

Contact::~Contact() { book_->let_go(name_, id_); }

Contacts::Entry* Contacts::find(const std::string& name) {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

ContactPtr Contacts::known(const std::string& name) {
  const MutexLock lock{mutex_};
  const Entry* const entry = find(name);
  return entry == nullptr ? nullptr : entry->contact.lock();
}

Result<ContactPtr> Contacts::begin(const std::string& name, TimePoint deadline) {
  const MutexLock lock{mutex_};
  while (true) {
    Entry* const entry = find(name);
    if (entry == nullptr) {
      entries_[name].busy = true;
      return ContactPtr{};
    }
    // Not kept while waiting: the last to let go of a contact needs the mutex.
    if (!entry->busy) {
      if (ContactPtr contact = entry->contact.lock(); contact != nullptr) {
        entry->busy = true;
        return contact;
      }
    }
    if (!changed_.wait_before(mutex_, *clock_, deadline)) {
      return Error{ErrorCode::kDeadline, "waiting for another call about peer \"" + name + "\""};
    }
  }
}

void Contacts::settle(const std::string& name, const ContactPtr& contact) {
  const MutexLock lock{mutex_};
  if (contact == nullptr) {
    entries_.erase(name);
  } else {
    Entry& entry = entries_.at(name);
    entry.contact = contact;
    entry.busy = false;
  }
  changed_.notify_all();
}

Result<ContactPtr> Contacts::load_or_update(const std::string& name, const ContactPtr& contact,
                                            std::span<const std::byte> blob, TimePoint deadline) {
  if (contact != nullptr) {
    KVFERRY_RETURN_IF_ERROR(agent_->update_peer(contact->id(), blob, deadline));
    return contact;
  }
  KVFERRY_ASSIGN_OR_RETURN(const agent::PeerId id, agent_->load_peer(name, blob, deadline));
  return ContactPtr{std::make_shared<const Contact>(shared_from_this(), name, id)};
}

Result<ContactPtr> Contacts::import(const std::string& name, std::span<const std::byte> blob,
                                    TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(const ContactPtr before, begin(name, deadline));
  bool imported = false;
  {
    const MutexLock lock{mutex_};
    imported = std::exchange(find(name)->imported, true);
  }
  if (imported) {
    settle(name, before);
    return Error{ErrorCode::kBusy, "agent \"" + name + "\" is imported already"};
  }
  auto loaded = load_or_update(name, before, blob, deadline);
  if (!loaded) {
    const MutexLock lock{mutex_};
    find(name)->imported = false;
  }
  settle(name, loaded ? *loaded : before);
  return loaded;
}

Result<void> Contacts::update(const ContactPtr& contact, std::span<const std::byte> blob,
                              TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(const ContactPtr same, begin(contact->name(), deadline));
  auto updated = agent_->update_peer(contact->id(), blob, deadline);
  settle(contact->name(), same);
  return updated;
}

void Contacts::forget(const ContactPtr& contact) {
  std::vector<std::byte> met;
  {
    const MutexLock lock{mutex_};
    Entry* const entry = find(contact->name());
    entry->imported = false;
    met = entry->met;
  }
  if (!met.empty()) {
    // Others keep it, perhaps: what they need is known already, so this waits for nobody. Where it
    // fails, the peer has another life, and its memory is gone.
    static_cast<void>(agent_->update_peer(contact->id(), met, clock_->now()));
  }
}

Result<ContactPtr> Contacts::meet(const std::string& name, std::span<const std::byte> blob,
                                  TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(const ContactPtr before, begin(name, deadline));
  bool imported = false;
  {
    const MutexLock lock{mutex_};
    imported = find(name)->imported;
  }
  Result<ContactPtr> met = before;
  if (!imported || agent_->liveness(before->id()) == agent::Liveness::kDead) {
    met = load_or_update(name, before, blob, deadline);
  }
  bool is_forgotten = false;
  if (met) {
    const MutexLock lock{mutex_};
    Entry* const entry = find(name);
    entry->met.assign(blob.begin(), blob.end());
    is_forgotten = imported && !entry->imported;
  }
  if (is_forgotten) {  // Meanwhile, when forget() did not know yet that somebody else keeps it.
    static_cast<void>(agent_->update_peer((*met)->id(), blob, deadline));
  }
  settle(name, met ? *met : before);
  return met;
}

void Contacts::let_go(const std::string& name, agent::PeerId id) {
  static_cast<void>(agent_->forget_peer(id));
  const MutexLock lock{mutex_};
  entries_.erase(name);
  changed_.notify_all();
}

}  // namespace kvferry::manager
