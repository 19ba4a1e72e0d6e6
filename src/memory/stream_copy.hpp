// SPDX-License-Identifier: Apache-2.0
#pragma once

// Copying past the caches. A large transfer would push everything else out of them, and each line
// of its destination would be read before it is overwritten. Streaming stores do neither.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kvferry/base/run.hpp"

namespace kvferry::memory {

/// What a processor moves between cache and memory.
inline constexpr std::uint64_t kLineBytes = 64;

/// Lines that are copied: an inner loop of lines inside an outer one.
struct Lines {
  struct Loop {
    std::uint64_t count{0};
    std::uint64_t source_stride{0};
    std::uint64_t destination_stride{0};
  };

  std::byte* to;  ///< at the beginning of a line, as are all that the strides lead to
  const std::byte* from;
  Loop outer;
  Loop inner;
};

/// One way of writing lines.
struct StreamKernel {
  std::string_view name;
  bool usable{false};  ///< on this processor
  void (*copy_lines)(const Lines& lines) noexcept {nullptr};
};

/// All that are compiled in, best first; none for processors that this code knows nothing of.
[[nodiscard]] std::span<const StreamKernel> stream_kernels() noexcept;

/// The first one that is usable; null: there is none.
[[nodiscard]] const StreamKernel* best_stream_kernel() noexcept;

/// Copies `run` from `from` to `to` with `kernel`, and says whether it did: not where the pieces
/// are short and do not begin and end with lines of the destination, which is no gain.
[[nodiscard]] bool stream_run(const StreamKernel& kernel, std::byte* to, const std::byte* from,
                              const Run& run) noexcept;

/// Makes everything that this thread streamed visible to others before whatever it stores next.
void finish_streaming() noexcept;

/// As copy_runs(), past the caches with `kernel` where that is possible; null: never.
void copy_runs_with(const StreamKernel* kernel, std::span<const Run> runs,
                    std::span<std::byte* const> sources,
                    std::span<std::byte* const> destinations) noexcept;

}  // namespace kvferry::memory
