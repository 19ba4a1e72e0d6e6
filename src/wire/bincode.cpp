// SPDX-License-Identifier: Apache-2.0
#include "wire/bincode.hpp"

#include <fmt/format.h>

namespace kvferry::wire::bincode {

std::string describe(const Failure& failure) {
  const std::uint64_t value = failure.value;
  const std::uint64_t bound = failure.bound;
  switch (failure.problem) {
    case Problem::kNone: return "nothing";
    case Problem::kEnd: return fmt::format("{} bytes of {} left", value, bound);
    case Problem::kReserved: return fmt::format("integer marker {} of at most {}", value, bound);
    case Problem::kTooWide: return fmt::format("integer marker {} of at most {}", value, bound);
    case Problem::kLength: return fmt::format("length {} of {} left", value, bound);
    case Problem::kCount:
      return fmt::format("count {} of at most {} in what is left", value, bound);
    case Problem::kLimit: return fmt::format("{} is above the limit of {}", value, bound);
    case Problem::kVariant: return fmt::format("variant {} of {}", value, bound);
    case Problem::kOption: return fmt::format("option tag {} of at most {}", value, bound);
    case Problem::kText: return fmt::format("not UTF-8 after {} of {} bytes", value, bound);
    case Problem::kTrailing: return fmt::format("{} bytes after the end", value);
  }
  return "unknown";
}

}  // namespace kvferry::wire::bincode
