// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "kvferry/transfer/physical_layout.hpp"
#include "transfer/verification.hpp"

// Digests that are kept beside the files of a layout on disk: one for each layer of each block, of
// the data and of each plane.

namespace kvferry::transfer {

/// What a file of digests is about: a layout of the same shape in the same places.
[[nodiscard]] Digest digest_subject(const layout::LayoutView& view);

/// Tells what is kept of the source blocks of `plans`.
///
/// Errors: kIncompatible for plans that take a part of a block; kUnavailable naming the first block
///         and layer of which nothing is kept.
[[nodiscard]] Result<std::unique_ptr<DigestTeller>> make_disk_teller(
    PhysicalLayoutPtr layout, std::span<const LayerPlan> plans);

/// Keeps what is told of the destination blocks of `plans`.
///
/// Errors: kIncompatible for plans that write a part of a block.
[[nodiscard]] Result<std::unique_ptr<DigestKeeper>> make_disk_keeper(
    PhysicalLayoutPtr layout, std::span<const LayerPlan> plans);

/// Drops what is kept of what `plans` are about to write.
///
/// Errors: kUnavailable and kBusy when the system refuses.
[[nodiscard]] Result<void> drop_digests(const PhysicalLayout& layout,
                                        std::span<const LayerPlan> plans);

}  // namespace kvferry::transfer
