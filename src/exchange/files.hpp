// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::exchange {

/// Reads to the end.
///
/// Errors: kCorrupt when there are more than `bytes_max`.
[[nodiscard]] Result<std::string> read_all(const UniqueFd& file, std::size_t bytes_max);

/// Writes `name` below `directory` so that readers see the old file or all of the new one. One
/// writer at a time.
[[nodiscard]] Result<void> replace_file(int directory, const std::string& name,
                                        std::span<const std::byte> bytes);

/// Opens the directory at `path`, which this user owns and only he may write, making it if it is
/// missing.
///
/// Errors: kRefused when it is not that; kUnavailable.
[[nodiscard]] Result<UniqueFd> open_private_directory(std::string_view path);

/// Opens the directory at `path` as open_private_directory() does, but makes nothing: none when it
/// is missing and its parents are there.
///
/// Errors: as of open_private_directory().
[[nodiscard]] Result<UniqueFd> find_private_directory(std::string_view path);

enum class Lock { kShared, kExclusive };

/// Locks `directory` against other threads and processes until the descriptor given back is closed,
/// at the latest by the death of the process.
///
/// Errors: kDeadline when somebody holds it until then.
[[nodiscard]] Result<UniqueFd> lock_directory(int directory, Lock lock, TimePoint deadline);

}  // namespace kvferry::exchange
