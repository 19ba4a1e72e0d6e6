// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvferry::disk {

/// What has the kernel read and write files.
enum class Through : std::uint8_t {
  kAuto,  ///< io_uring where the kernel allows it, else threads
  kIoUring,
  kThreads,  ///< pread() and pwrite()
};

struct IoOptions {
  Through through{Through::kAuto};
  /// Reads and writes at a time, 1 to 4096: of threads, as many as there are.
  std::size_t depth{64};
};

}  // namespace kvferry::disk
