// SPDX-License-Identifier: Apache-2.0
#include "disk/cached.hpp"

#include <sys/uio.h>

namespace kvferry::disk {

std::uint64_t read_cached(const Operation& operation) {
  const iovec memory{operation.memory.data(), operation.memory.size()};
  const ssize_t moved =
      ::preadv2(operation.descriptor, &memory, 1, static_cast<off_t>(operation.offset), RWF_NOWAIT);
  return moved > 0 ? static_cast<std::uint64_t>(moved) : 0;
}

}  // namespace kvferry::disk
