// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "agent/shm_blob.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/agent/agent.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::agent {

/// What a ShmAgent has registered, as its owner sees it.
///
/// Threads: any.
class ShmRegistry {
 public:
  explicit ShmRegistry(std::size_t count_max) : count_max_{count_max} {}

  /// Errors: as Agent::register_memory(); kBusy when the limit is used up.
  [[nodiscard]] Result<RegistrationId> add(memory::MemoryPtr memory, Access access);
  [[nodiscard]] Result<void> remove(RegistrationId id);

  /// What peers are told, ascending by id.
  [[nodiscard]] std::vector<BlobMemory> table() const;

  /// A new descriptor of a memory's file, which allows what peers may do and no more.
  ///
  /// Errors: kStale for an id that is not registered or not for peers; kUnavailable.
  [[nodiscard]] Result<UniqueFd> open(std::uint64_t id) const;

 private:
  struct Entry {
    memory::MemoryPtr memory;
    Access access{Access::kNone};
    std::unique_ptr<const memory::Nonce> own_nonce;  ///< of memory without a file
  };

  [[nodiscard]] Result<void> make_reachable(Entry& entry) const KVFERRY_REQUIRES(mutex_);

  std::size_t count_max_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, Entry> entries_ KVFERRY_GUARDED_BY(mutex_);
  /// Registrations for writing, by memory.
  std::map<const memory::Memory*, std::size_t> writable_ KVFERRY_GUARDED_BY(mutex_);
  std::uint64_t next_id_ KVFERRY_GUARDED_BY(mutex_){1};
};

}  // namespace kvferry::agent
