// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "kvferry/base/strong_int.hpp"

namespace kvferry {

/// One process that owns KV-cache memory; unique among the workers that talk to each other.
using WorkerId = StrongInt<struct WorkerIdTag, std::uint64_t>;
/// One layout of one worker; never reused in the life of the worker.
using LayoutId = StrongInt<struct LayoutIdTag, std::uint16_t>;
/// One KV-cache block of a layout, 0-based.
using BlockId = StrongInt<struct BlockIdTag, std::uint64_t>;

/// Makes block ids from plain numbers: `block_ids({4, 9, 2})`.
[[nodiscard]] std::vector<BlockId> block_ids(std::initializer_list<std::uint64_t> ids);

/// Names a layout anywhere: the worker that owns it and its id there, in 128 bits.
///
/// Source: docs/spec/wire-format.md, section 1.3. The bits above 80 take part in equality and hash.
/// They are zero in what is written here and kept as they are in what is read; a manager counts in
/// them how many layouts of a peer had the same name before, so that a handle that it gave names
/// one layout for ever.
class LayoutHandle {
 public:
  constexpr LayoutHandle() noexcept = default;
  constexpr LayoutHandle(WorkerId worker, LayoutId layout) noexcept
      : low_{worker.value()}, high_{layout.value()} {}

  /// The handle whose 128 bits are `high` * 2^64 + `low`.
  [[nodiscard]] static constexpr LayoutHandle from_bits(std::uint64_t high,
                                                        std::uint64_t low) noexcept {
    LayoutHandle handle;
    handle.low_ = low;
    handle.high_ = high;
    return handle;
  }

  [[nodiscard]] constexpr WorkerId worker_id() const noexcept { return WorkerId{low_}; }
  [[nodiscard]] constexpr LayoutId layout_id() const noexcept {
    return LayoutId{static_cast<std::uint16_t>(high_)};
  }
  [[nodiscard]] constexpr std::uint64_t low_bits() const noexcept { return low_; }
  [[nodiscard]] constexpr std::uint64_t high_bits() const noexcept { return high_; }
  /// The same worker and layout id, with `life` (below 2^48) in the bits above 80.
  [[nodiscard]] constexpr LayoutHandle with_life(std::uint64_t life) const noexcept {
    return from_bits((life << 16U) | layout_id().value(), low_);
  }
  /// Whether a bit is set that no writer sets (80 to 127).
  [[nodiscard]] constexpr bool has_reserved_bits() const noexcept { return (high_ >> 16U) != 0; }

  friend constexpr auto operator<=>(const LayoutHandle&, const LayoutHandle&) = default;

 private:
  std::uint64_t low_{};
  std::uint64_t high_{};
};

/// "LayoutHandle(worker=100, layout=1)".
[[nodiscard]] std::string to_string(LayoutHandle handle);

}  // namespace kvferry

template <>
struct std::hash<kvferry::LayoutHandle> {
  std::size_t operator()(kvferry::LayoutHandle handle) const noexcept {
    // An odd multiplier spreads the layout id, which is small, over the worker's bits.
    return std::hash<std::uint64_t>{}(handle.low_bits() ^
                                      (handle.high_bits() * 0x9E3779B97F4A7C15U));
  }
};
