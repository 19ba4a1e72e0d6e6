// SPDX-License-Identifier: Apache-2.0
#include "agent/fork_guard.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <new>

#include "memory/system.hpp"

namespace kvferry::agent {
namespace {
constexpr std::size_t kPageBytes = 4096;
}  // namespace

Result<std::unique_ptr<ForkGuard>> ForkGuard::create() {
  void* page =
      mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return memory::system_error(ErrorCode::kUnavailable, "cannot map a page", errno);
  }
  std::unique_ptr<ForkGuard> guard{new ForkGuard{new (page) Flag{1}}};
  if (madvise(page, kPageBytes, MADV_WIPEONFORK) != 0) {
    return memory::system_error(ErrorCode::kUnavailable, "cannot notice a fork", errno);
  }
  return guard;
}

ForkGuard::~ForkGuard() { munmap(page_, kPageBytes); }

}  // namespace kvferry::agent
