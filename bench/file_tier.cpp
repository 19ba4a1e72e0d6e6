// SPDX-License-Identifier: Apache-2.0
#include "file_tier.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "kvferry/base/try.hpp"

namespace kvferry::bench {
namespace {

constexpr std::uint64_t kTokens = 16;
constexpr std::uint64_t kElementBytes = 2;

Error failure(const std::string& where) {
  return Error{ErrorCode::kUnavailable, where + ": " + std::strerror(errno)};
}

/// Writes every byte, and leaves none of them in the page cache.
Result<void> fill(const disk::File& file) {
  const std::vector<std::byte> bytes(std::size_t{1} << 20U, std::byte{0x5a});
  for (std::uint64_t at = 0; at < file.size_bytes();) {
    const std::uint64_t most = std::min<std::uint64_t>(bytes.size(), file.size_bytes() - at);
    const ssize_t wrote = ::pwrite(file.descriptor(), bytes.data(), most, static_cast<off_t>(at));
    if (wrote <= 0) {
      return failure(file.path());
    }
    at += static_cast<std::uint64_t>(wrote);
  }
  if (::fdatasync(file.descriptor()) != 0) {
    return failure(file.path());
  }
  ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  return {};
}

}  // namespace

layout::LayoutConfig pieces_config(std::uint64_t blocks, std::uint64_t piece_bytes) {
  return {.num_blocks = blocks,
          .num_layers = 1,
          .outer_dim = 1,
          .page_size = kTokens,
          .inner_dim = piece_bytes / kTokens / kElementBytes,
          .dtype_width_bytes = kElementBytes};
}

Result<transfer::PhysicalLayoutPtr> make_file_tier(const layout::LayoutConfig& config,
                                                   const std::string& directory,
                                                   disk::Direct direct) {
  std::string path = directory + "/kvferry-bench-XXXXXX";
  const int made = ::mkstemp(path.data());
  if (made < 0) {
    return failure(directory);
  }
  ::close(made);
  auto layout = transfer::PhysicalLayout::fully_contiguous(config)
                    .allocate_disk({.path = path, .direct = direct})
                    .build();
  ::unlink(path.c_str());
  KVFERRY_ASSIGN_OR_RETURN(transfer::PhysicalLayoutPtr tier, std::move(layout));
  KVFERRY_RETURN_IF_ERROR(fill(*tier->files()[0]));
  return tier;
}

}  // namespace kvferry::bench
