// SPDX-License-Identifier: Apache-2.0
#pragma once

// Key files as files: who may read and write them. docs/spec/trust.md, "Writing" and "Reading".

#include <fcntl.h>

#include <cstddef>
#include <span>
#include <string>

#include "kvferry/base/result.hpp"

namespace kvferry::trust {

inline constexpr int kCurrentDirectory = AT_FDCWD;

enum class Secrecy { kPublic, kSecret };

/// Fills `buffer` from the beginning of a file, and gives the number of bytes: less than it holds
/// where the file ends before.
///
/// Errors: kRefused, naming the file, when it is no regular file, is another user's, or others may
///         do with it what its secrecy forbids; kUnavailable.
[[nodiscard]] Result<std::size_t> read_key_file(int directory, const std::string& name,
                                                Secrecy secrecy, std::span<std::byte> buffer);

/// The bytes of a public key's file; of a longer file one byte more than such a file has.
///
/// Errors: as read_key_file().
[[nodiscard]] Result<std::string> read_public_file(int directory, const std::string& name);

/// Makes the file `path`, with all of `bytes` or not at all.
///
/// Errors: kRefused when something is there; kInvalidArgument for a path that ends with a slash;
///         kUnavailable.
[[nodiscard]] Result<void> write_new_file(const std::string& path, std::span<const std::byte> bytes,
                                          Secrecy secrecy);

}  // namespace kvferry::trust
