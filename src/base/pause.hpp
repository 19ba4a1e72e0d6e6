// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kvferry {

/// Tells the processor that this is a loop that only looks: about 50 ns on current ones.
inline void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace kvferry
