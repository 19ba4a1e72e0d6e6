// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "base/digest.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"

struct XXH3_state_s;

namespace kvferry::transfer {

/// Whether `box` lies inside `view`. An opaque view has whole blocks only: its tokens are one.
///
/// Errors: kInvalidArgument naming block, layer or tokens, and the bound.
[[nodiscard]] Result<void> check_box(const layout::LayoutView& view, const DigestBox& box);

/// Computes digests of what memory holds, whichever way it lies there. It walks the views by
/// itself, so that a plan that goes astray is found.
///
/// Threads: one at a time.
/// Source:  docs/spec/digests.md, section 1.
class Digester {
 public:
  Digester();

  /// Shape:   `bases` hold the first byte of each region that the view counts; `box` passes
  ///          check_box().
  /// Threads: the bytes are the caller's to synchronize.
  [[nodiscard]] Digest of(const layout::LayoutView& view, std::span<std::byte* const> bases,
                          const DigestBox& box) noexcept;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const noexcept;
  };

  void take(const std::byte* bytes, std::size_t count) noexcept;
  void flush() noexcept;

  static constexpr std::size_t kShort = 1024;

  std::unique_ptr<XXH3_state_s, Free> state_;
  std::array<std::byte, 4 * kShort> gathered_;  ///< short pieces, until they are worth a call
  std::size_t gathered_bytes_{0};
};

}  // namespace kvferry::transfer
