// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"

namespace kvferry::bench {

/// Takes note of pieces, so that no compiler leaves out what computed them.
class Tally {
 public:
  void add(const Run& run) noexcept {
    places_ += (run.source.offset_bytes + run.source.region) ^
               (run.destination.offset_bytes + run.destination.region);
    bytes_ += run.bytes * run.count;
    pieces_ += run.count;
  }
  void add(const Tally& other) noexcept {
    places_ += other.places_;
    bytes_ += other.bytes_;
    pieces_ += other.pieces_;
  }
  void add(std::uint64_t from, std::uint64_t to, std::uint64_t bytes) noexcept {
    places_ += from ^ to;
    bytes_ += bytes;
    ++pieces_;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t pieces() const noexcept { return pieces_; }

 private:
  std::uint64_t places_{0};
  std::uint64_t bytes_{0};
  std::uint64_t pieces_{0};
};

/// How much of one (block, layer, outer) is contiguous on both sides.
enum class Grain : std::uint8_t { kOuter, kToken, kHead };

/// What a person would write who knows both layouts by heart: nested loops over the pairs of
/// blocks, layers, outers and whatever is not contiguous, one addition or two for each piece. The
/// source holds some of the destination's heads, or all.
///
/// Shape: `grain` is the largest piece that the two views have in common.
void plan_by_hand(const layout::LayoutView& source, const layout::LayoutView& destination,
                  const plan::BlockPairs& blocks, Grain grain, Tally& tally);

}  // namespace kvferry::bench
