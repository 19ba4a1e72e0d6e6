// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace kvferry {

/// std::atomic_thread_fence, also where the thread sanitizer, which does not know fences, would
/// refuse to build.
template <std::memory_order order>
inline void fence() noexcept {
#if defined(__SANITIZE_THREAD__)
  static std::atomic<int> any{0};
  any.fetch_add(0, order);
#else
  std::atomic_thread_fence(order);
#endif
}

}  // namespace kvferry
