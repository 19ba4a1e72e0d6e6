// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_side.hpp"

#include <algorithm>
#include <string>
#include <typeinfo>
#include <utility>

#include "kvferry/base/checked.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/memory/copy.hpp"

namespace kvferry::agent {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string describe(std::size_t index, const Region& region) {
  return "region " + std::to_string(index) + ", " + std::to_string(region.size_bytes) +
         " bytes at " + std::to_string(region.address) + ",";
}

/// The side as ours, or null. Compares types exactly: a request may not cost a search of bases.
const ShmSide* as_shm_side(const PreparedSide* side) noexcept {
  return side != nullptr && typeid(*side) == typeid(ShmSide) ? static_cast<const ShmSide*>(side)
                                                             : nullptr;
}

}  // namespace

Result<PreparedSidePtr> ShmSide::local(std::span<const Region> regions) {
  std::shared_ptr<ShmSide> side{new ShmSide};
  for (std::size_t index = 0; index < regions.size(); ++index) {
    const Region& region = regions[index];
    if (region.address == 0 || region.size_bytes == 0 ||
        !checked_add(region.address, region.size_bytes)) {
      return invalid(describe(index, region) + " is no range of addresses");
    }
    side->bases_.push_back(reinterpret_cast<std::byte*>(region.address));  // NOLINT(*-int-to-ptr)
    side->sizes_.push_back(region.size_bytes);
  }
  return PreparedSidePtr{std::move(side)};
}

Result<PreparedSidePtr> ShmSide::remote(std::span<const Region> regions,
                                        std::span<const RemoteMemoryPtr> memories) {
  std::shared_ptr<ShmSide> side{new ShmSide};
  side->is_remote_ = true;
  for (std::size_t index = 0; index < regions.size(); ++index) {
    const Region& region = regions[index];
    const RemoteMemoryPtr* memory =
        region.size_bytes == 0 ? nullptr : find_memory(memories, region);
    if (memory == nullptr) {
      return invalid(describe(index, region) + " is not inside memory that the peer registered");
    }
    side->bases_.push_back((*memory)->translate(region.address));
    side->sizes_.push_back(region.size_bytes);
    side->memory_of_region_.push_back(memory->get());
    side->memories_.push_back(*memory);
    side->all_mapped_ = side->all_mapped_ && (*memory)->is_mapped();
  }
  auto& used = side->memories_;
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  return PreparedSidePtr{std::move(side)};
}

bool ShmSide::is_current() const noexcept {
  return std::none_of(memories_.begin(), memories_.end(),
                      [](const RemoteMemoryPtr& memory) { return memory->is_stale(); });
}

Result<void> ShmSide::check_usable() const {
  for (const RemoteMemoryPtr& memory : memories_) {
    if (memory->is_stale()) [[unlikely]] {
      return Error{ErrorCode::kStale, "memory " + std::to_string(memory->told().id) +
                                          " is of a peer that was forgotten or replaced, or was "
                                          "taken back by it"};
    }
    if (memory->process().is_known_dead()) [[unlikely]] {
      return Error{ErrorCode::kUnavailable,
                   "process " + std::to_string(memory->process().id()) + " of the peer is gone"};
    }
  }
  return {};
}

Result<void> ShmSide::check_writable(std::span<const Run> runs) const {
  for (const Run& run : runs) {
    const RemoteMemory& memory = *memory_of_region_[run.destination.region];
    if (memory.told().access != Access::kReadWrite) {
      return Error{ErrorCode::kRefused,
                   "memory " + std::to_string(memory.told().id) + " may only be read by peers"};
    }
  }
  return {};
}

Result<void> ShmSide::read_into(const ShmSide& local, const Request& request) const {
  const std::span<const Run> runs = request.runs;
  const std::uint64_t in_all = request.transfer_bytes;
  if (all_mapped_) [[likely]] {
    memory::copy_runs(runs, bases_, local.bases_, in_all);
    return {};
  }
  for (const Run& run : runs) {
    const RemoteMemory& memory = *memory_of_region_[run.source.region];
    if (memory.is_mapped()) {
      memory::copy_runs({&run, 1}, bases_, local.bases_, in_all);
    } else {
      KVFERRY_RETURN_IF_ERROR(memory.process().read({&run, 1}, bases_, local.bases_));
    }
  }
  return {};
}

Result<void> ShmSide::move(const Request& request) {
  const ShmSide* near = as_shm_side(request.local.get());
  const ShmSide* far = as_shm_side(request.remote.get());
  if (near == nullptr || far == nullptr || near->is_remote_ || !far->is_remote_) {
    return invalid("a request needs a local and a remote side prepared by a shared-memory agent");
  }
  KVFERRY_RETURN_IF_ERROR(far->check_usable());
  if (request.operation == Operation::kRead) {
    KVFERRY_RETURN_IF_ERROR(memory::check_runs(request.runs, far->sizes_, near->sizes_));
    return far->read_into(*near, request);
  }
  KVFERRY_RETURN_IF_ERROR(memory::check_runs(request.runs, near->sizes_, far->sizes_));
  KVFERRY_RETURN_IF_ERROR(far->check_writable(request.runs));
  memory::copy_runs(request.runs, near->bases_, far->bases_, request.transfer_bytes);
  return {};
}

}  // namespace kvferry::agent
