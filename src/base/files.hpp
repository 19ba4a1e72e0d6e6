// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files and directories that only their user may have written. Errors name what could not be used.

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry {

/// What nobody but the owner may do with a file that must not be changed by others.
inline constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
/// What nobody but the owner may do with a secret.
inline constexpr mode_t kOthersUse = S_IRWXG | S_IRWXO;

/// The code and text of an errno value, with `what` in front. Values that mean that something is
/// where nothing may be are kRefused, that descriptors are used up kBusy, all others kUnavailable.
[[nodiscard]] Error system_error(std::string_view what, int error_number);

/// Errors: kRefused when a file belongs to another user, or its mode has a bit of `forbidden`.
[[nodiscard]] Result<void> check_owner_and_mode(const struct stat& status, mode_t forbidden,
                                                const std::string& name);

/// Opens a directory that belongs to this user and that only he may write. Slashes at the end of
/// `path` do not make it follow a symbolic link.
///
/// Errors: kRefused when it is not that; kBusy; kUnavailable.
[[nodiscard]] Result<UniqueFd> open_own_directory(const std::string& path);

/// Opens the regular file `name` below `directory` for reading. It follows no symbolic link and
/// blocks on nothing.
///
/// Errors: kRefused when it is something else; kBusy; kUnavailable.
[[nodiscard]] Result<UniqueFd> open_file(int directory, const std::string& name);

/// The names in a directory, sorted, without "." and "..".
///
/// Errors: kRefused when there are more than `files_max`; kBusy; kUnavailable.
[[nodiscard]] Result<std::vector<std::string>> file_names(int directory, std::size_t files_max);

/// Errors: kUnavailable; some of the bytes may be written then.
[[nodiscard]] Result<void> write_all(const UniqueFd& file, std::span<const std::byte> bytes);

}  // namespace kvferry
