// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "kvferry/disk/file.hpp"
#include "kvferry/layout/config.hpp"
#include "kvferry/transfer/physical_layout.hpp"

namespace kvferry::bench {

/// A layout of `blocks` blocks of one contiguous piece of `piece_bytes`, a multiple of 64.
[[nodiscard]] layout::LayoutConfig pieces_config(std::uint64_t blocks, std::uint64_t piece_bytes);

/// A fully contiguous layout in a new file in `directory`, every byte of it written: what was never
/// written is read without a disk. The file has no name any more, so that nothing stays behind
/// however the process ends.
///
/// Errors: kUnavailable for a directory in which no file can be made or written; those of
///         disk::File::open().
[[nodiscard]] Result<transfer::PhysicalLayoutPtr> make_file_tier(const layout::LayoutConfig& config,
                                                                 const std::string& directory,
                                                                 disk::Direct direct);

}  // namespace kvferry::bench
