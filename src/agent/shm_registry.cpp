// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_registry.hpp"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

/// Opens the file once more: a copy of the descriptor would carry the owner's right to write.
Result<UniqueFd> reopen(const memory::SharedFile& file, Access access) {
  const std::string path = "/proc/self/fd/" + std::to_string(file.descriptor);
  const int mode = access == Access::kReadWrite ? O_RDWR : O_RDONLY;
  UniqueFd opened{::open(path.c_str(), mode | O_CLOEXEC)};
  if (!opened) {
    return memory::system_error(ErrorCode::kUnavailable, "cannot open " + path, errno);
  }
  return opened;
}

Error refused(std::string message) { return Error{ErrorCode::kRefused, std::move(message)}; }

}  // namespace

Result<RegistrationId> ShmRegistry::add(memory::MemoryPtr memory, Access access) {
  if (memory == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "no memory is given"};
  }
  if (memory->storage_kind().type != StorageKind::Type::kSystem) {
    return refused("storage kind " + to_string(memory->storage_kind()) +
                   " cannot be reached through shared memory");
  }
  const MutexLock lock{mutex_};
  if (entries_.size() >= count_max_) {
    return Error{ErrorCode::kBusy, std::to_string(entries_.size()) + " memories of " +
                                       std::to_string(count_max_) + " are registered"};
  }
  Entry entry{std::move(memory), access, nullptr};
  if (access != Access::kNone) {
    KVFERRY_RETURN_IF_ERROR(make_reachable(entry));
  }
  if (access == Access::kReadWrite) {
    ++writable_[entry.memory.get()];
  }
  const RegistrationId id{next_id_++};
  entries_.emplace(id.value(), std::move(entry));
  return id;
}

Result<void> ShmRegistry::make_reachable(Entry& entry) const {
  const memory::SharedFile* file = entry.memory->shared_file();
  if (file == nullptr) {
    if (entry.access == Access::kReadWrite) {
      return refused(
          "adopted memory cannot be registered read-write: nothing would check what "
          "peers write into it; register it for reading, or allocate it");
    }
    memory::Nonce nonce{};
    KVFERRY_RETURN_IF_ERROR(memory::fill_random(nonce));
    entry.own_nonce = std::make_unique<const memory::Nonce>(nonce);
    return {};
  }
  // Tried now, so that a system without /proc says so here and not to the first peer.
  KVFERRY_RETURN_IF_ERROR(reopen(*file, entry.access));
  if (entry.access == Access::kReadWrite) {
    return entry.memory->sealed_against_writers()
               ? refused("memory was registered for reading and is sealed against writers for good")
               : Result<void>{};
  }
  if (writable_.contains(entry.memory.get())) {
    return refused(
        "memory is registered read-write: sealing it for readers would shut out writers");
  }
  return entry.memory->seal_against_writers();
}

Result<void> ShmRegistry::remove(RegistrationId id) {
  const MutexLock lock{mutex_};
  const auto found = entries_.find(id.value());
  if (found == entries_.end()) {
    return Error{ErrorCode::kInvalidArgument,
                 "registration " + std::to_string(id.value()) + " is not there"};
  }
  if (found->second.access == Access::kReadWrite) {
    const auto writers = writable_.find(found->second.memory.get());
    if (--writers->second == 0) {
      writable_.erase(writers);
    }
  }
  entries_.erase(found);
  return {};
}

std::vector<BlobMemory> ShmRegistry::table() const {
  const MutexLock lock{mutex_};
  std::vector<BlobMemory> told;
  for (const auto& [id, entry] : entries_) {
    if (entry.access == Access::kNone) {
      continue;
    }
    const std::span<std::byte> bytes = entry.memory->bytes();
    BlobMemory row;
    row.id = id;
    row.address = reinterpret_cast<std::uintptr_t>(bytes.data());
    row.size_bytes = bytes.size();
    row.access = entry.access;
    if (const memory::SharedFile* file = entry.memory->shared_file(); file != nullptr) {
      row.kind = MemoryKind::kSharedFile;
      row.control = file->control_offset;
      row.nonce = file->nonce;
    } else {
      row.kind = MemoryKind::kProcess;
      row.control = reinterpret_cast<std::uintptr_t>(entry.own_nonce.get());
      row.nonce = *entry.own_nonce;
    }
    told.push_back(row);
  }
  return told;
}

Result<UniqueFd> ShmRegistry::open(std::uint64_t id) const {
  const MutexLock lock{mutex_};
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.access == Access::kNone ||
      found->second.memory->shared_file() == nullptr) {
    return Error{ErrorCode::kStale, "memory " + std::to_string(id) +
                                        " is no longer registered: import a newer message"};
  }
  return reopen(*found->second.memory->shared_file(), found->second.access);
}

}  // namespace kvferry::agent
