// SPDX-License-Identifier: Apache-2.0
#include "kvferry/memory/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "base/unique_fd.hpp"
#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "memory/control_page.hpp"
#include "memory/system.hpp"

namespace kvferry::memory {
namespace {

/// Pages are taken in steps of this many bytes: a signal undoes one step, not all of them.
constexpr std::uint64_t kReserveStepBytes = std::uint64_t{64} << 20U;

class SystemMemory final : public Memory {
 public:
  SystemMemory(UniqueFd file, Mapping mapping, std::uint64_t size_bytes, SharedFile shared)
      : file_{std::move(file)},
        mapping_{std::move(mapping)},
        bytes_{mapping_.bytes().first(size_bytes)},
        shared_{shared} {}

  [[nodiscard]] std::span<std::byte> bytes() const noexcept override { return bytes_; }
  [[nodiscard]] StorageKind storage_kind() const noexcept override { return StorageKind::system(); }
  [[nodiscard]] const SharedFile* shared_file() const noexcept override { return &shared_; }

  [[nodiscard]] Result<void> seal_against_writers() const override {
    if (fcntl(file_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0) {
      return system_error(ErrorCode::kUnavailable, "cannot seal memory against writers", errno);
    }
    sealed_.store(true);
    return {};
  }
  [[nodiscard]] bool sealed_against_writers() const noexcept override { return sealed_.load(); }

 private:
  UniqueFd file_;
  Mapping mapping_;
  std::span<std::byte> bytes_;
  SharedFile shared_;
  mutable std::atomic<bool> sealed_{false};
};

class AdoptedMemory final : public Memory {
 public:
  AdoptedMemory(std::span<std::byte> bytes, std::shared_ptr<const void> keep_alive)
      : bytes_{bytes}, keep_alive_{std::move(keep_alive)} {}

  [[nodiscard]] std::span<std::byte> bytes() const noexcept override { return bytes_; }
  [[nodiscard]] StorageKind storage_kind() const noexcept override { return StorageKind::system(); }
  [[nodiscard]] const SharedFile* shared_file() const noexcept override { return nullptr; }
  [[nodiscard]] Result<void> seal_against_writers() const override { return {}; }
  [[nodiscard]] bool sealed_against_writers() const noexcept override { return false; }

 private:
  std::span<std::byte> bytes_;
  // Shared with the caller, whose bytes these are: they go when both have let go.
  std::shared_ptr<const void> keep_alive_;
};

/// Takes the pages now: a system that has not got them says so here, and not by a signal when the
/// memory is used.
Result<void> reserve_pages(int file, std::uint64_t file_bytes) {
  for (std::uint64_t at = 0; at < file_bytes;) {
    const std::uint64_t step = std::min(kReserveStepBytes, file_bytes - at);
    if (fallocate(file, 0, static_cast<off_t>(at), static_cast<off_t>(step)) == 0) {
      at += step;
    } else if (errno != EINTR) {
      return system_error(ErrorCode::kUnavailable,
                          "cannot get " + std::to_string(file_bytes) + " bytes of memory", errno);
    }
  }
  return {};
}

/// Asking the kernel for more than the machine has would have it kill processes before it says no.
Result<void> check_machine_has(std::uint64_t file_bytes) {
  const auto machine_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                             static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (file_bytes > machine_bytes) {
    return Error{ErrorCode::kUnavailable, "size " + std::to_string(file_bytes) +
                                              " bytes of the machine's " +
                                              std::to_string(machine_bytes)};
  }
  return {};
}

Result<UniqueFd> create_sealed_file(std::uint64_t file_bytes) {
  UniqueFd file{memfd_create("kvferry", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file) {
    return system_error(ErrorCode::kUnavailable, "cannot create shared memory", errno);
  }
  if (ftruncate(file.get(), static_cast<off_t>(file_bytes)) != 0) {
    return system_error(ErrorCode::kUnavailable,
                        "cannot make shared memory of " + std::to_string(file_bytes) + " bytes",
                        errno);
  }
  KVFERRY_RETURN_IF_ERROR(reserve_pages(file.get(), file_bytes));
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot seal the size of shared memory", errno);
  }
  return file;
}

}  // namespace

Result<MemoryPtr> allocate_system(std::uint64_t size_bytes) {
  if (size_bytes == 0) {
    return Error{ErrorCode::kInvalidArgument, "size 0 bytes is not at least 1"};
  }
  constexpr auto kFileBytesMax = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  const auto rounded = checked_round_up(size_bytes, kAlignmentBytes);
  if (!rounded || *rounded > kFileBytesMax - kControlPageBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 "size " + std::to_string(size_bytes) + " bytes does not fit a file"};
  }
  SharedFile shared;
  shared.control_offset = *rounded;
  shared.file_bytes = *rounded + kControlPageBytes;
  KVFERRY_RETURN_IF_ERROR(check_machine_has(shared.file_bytes));
  KVFERRY_RETURN_IF_ERROR(fill_random(shared.nonce));
  KVFERRY_ASSIGN_OR_RETURN(UniqueFd file, create_sealed_file(shared.file_bytes));
  KVFERRY_ASSIGN_OR_RETURN(
      Mapping mapping, Mapping::of_file(file.get(), shared.file_bytes, PROT_READ | PROT_WRITE, 0));
  write_control_page(mapping.bytes().last<kControlPageBytes>(), shared.nonce);
  shared.descriptor = file.get();
  return MemoryPtr{
      std::make_shared<SystemMemory>(std::move(file), std::move(mapping), size_bytes, shared)};
}

Result<MemoryPtr> adopt(std::span<std::byte> bytes, std::shared_ptr<const void> keep_alive) {
  if (bytes.empty() || bytes.data() == nullptr) {
    return Error{ErrorCode::kInvalidArgument, "the range to adopt is empty"};
  }
  return MemoryPtr{std::make_shared<AdoptedMemory>(bytes, std::move(keep_alive))};
}

}  // namespace kvferry::memory
