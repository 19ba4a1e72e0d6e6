// SPDX-License-Identifier: Apache-2.0
#include "agent/remote_memory.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "memory/control_page.hpp"

namespace kvferry::agent {
namespace {

std::string name_of(const BlobMemory& told) { return "memory " + std::to_string(told.id); }

Error refused(const BlobMemory& told, const std::string& why) {
  return Error{ErrorCode::kRefused, name_of(told) + " " + why};
}

/// A file that is sealed, large enough and of ordinary pages can never raise SIGBUS in who maps it.
Result<void> check_file(const BlobMemory& told, int file) {
  constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) {
    return refused(told, "is not sealed against shrinking and growing");
  }
  if (told.access == Access::kRead && (seals & F_SEAL_FUTURE_WRITE) == 0) {
    return refused(told, "is for reading but not sealed against writers");
  }
  struct statfs system {};
  if (fstatfs(file, &system) != 0 || system.f_type != TMPFS_MAGIC) {
    return refused(told, "is not made of ordinary pages");
  }
  struct stat status {};
  const std::uint64_t needed = told.control + memory::kControlPageBytes;
  if (fstat(file, &status) != 0 || static_cast<std::uint64_t>(status.st_size) < needed) {
    return refused(told, "needs " + std::to_string(needed) + " bytes, its file has " +
                             std::to_string(status.st_size));
  }
  return {};
}

}  // namespace

Result<RemoteMemoryPtr> RemoteMemory::map(const BlobMemory& told, const UniqueFd& file,
                                          std::shared_ptr<PeerProcess> process) {
  KVFERRY_RETURN_IF_ERROR(check_file(told, file.get()));
  const int protection = told.access == Access::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  // Populated now: the first transfer costs as much as every other.
  auto mapping = memory::Mapping::of_file(file.get(), told.control + memory::kControlPageBytes,
                                          protection, MAP_POPULATE);
  if (!mapping) {
    return std::move(mapping).error().with_context(name_of(told));
  }
  if (!memory::is_control_page_of(mapping->bytes().last<memory::kControlPageBytes>(), told.nonce)) {
    return refused(told, "is another one than announced: its nonce differs");
  }
  return RemoteMemoryPtr{new RemoteMemory{told, *std::move(mapping), std::move(process)}};
}

Result<RemoteMemoryPtr> RemoteMemory::probe(const BlobMemory& told,
                                            std::shared_ptr<PeerProcess> process) {
  memory::Nonce found{};
  Run run;
  run.bytes = found.size();
  run.count = 1;
  RemoteMemoryPtr made{new RemoteMemory{told, memory::Mapping{}, std::move(process)}};
  std::byte* const source = made->translate(told.control);
  std::byte* const destination = found.data();
  if (auto read = made->process().read({&run, 1}, {&source, 1}, {&destination, 1}); !read) {
    return std::move(read).error().with_context(name_of(told));
  }
  if (found != told.nonce) {
    return refused(told, "is another one than announced: its nonce differs");
  }
  return made;
}

std::byte* RemoteMemory::translate(std::uint64_t address) const noexcept {
  if (is_mapped()) {
    return mapping_.bytes().data() + (address - told_.address);
  }
  // Of the peer: only the kernel may follow it.
  return reinterpret_cast<std::byte*>(address);  // NOLINT(*-int-to-ptr)
}

const RemoteMemoryPtr* find_memory(std::span<const RemoteMemoryPtr> memories,
                                   const Region& region) noexcept {
  const auto end = checked_add(region.address, region.size_bytes);
  if (!end) {
    return nullptr;
  }
  auto after = std::upper_bound(memories.begin(), memories.end(), region.address,
                                [](std::uint64_t address, const RemoteMemoryPtr& memory) {
                                  return address < memory->told().address;
                                });
  // The nearest one before is it, unless adopted memories lie inside each other.
  while (after != memories.begin()) {
    --after;
    const BlobMemory& told = (*after)->told();
    if (*end <= told.address + told.size_bytes) {
      return &*after;
    }
  }
  return nullptr;
}

}  // namespace kvferry::agent
