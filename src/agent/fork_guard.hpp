// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>

#include "kvferry/base/result.hpp"

namespace kvferry::agent {

/// Tells whether this process is a forked child of the one that made the guard, at the price of
/// one load: the kernel clears the guard's page in every child (MADV_WIPEONFORK).
class ForkGuard {
 public:
  /// Errors: kUnavailable when the kernel has no such page.
  [[nodiscard]] static Result<std::unique_ptr<ForkGuard>> create();

  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard();

  [[nodiscard]] bool is_child() const noexcept {
    return page_->load(std::memory_order_relaxed) == 0;
  }

 private:
  using Flag = std::atomic<int>;
  explicit ForkGuard(Flag* page) noexcept : page_{page} {}

  Flag* page_;  // Never null; the page is this object's own.
};

}  // namespace kvferry::agent
