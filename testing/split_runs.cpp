// SPDX-License-Identifier: Apache-2.0
#include "kvferry/testing/split_runs.hpp"

#include <algorithm>

namespace kvferry::testing {
namespace {

/// `count` pieces of `run` from its piece `first`, each only `bytes` of it from `skip`.
Run part(const Run& run, std::uint64_t first, std::uint64_t count, std::uint64_t skip,
         std::uint64_t bytes) {
  Run made = run;
  for (RunEnd* end : {&made.source, &made.destination}) {
    end->offset_bytes += first * end->stride_bytes + skip;
  }
  made.bytes = bytes;
  made.count = count;
  return made;
}

void add(std::vector<Run>& runs, const Run& run) {
  if (run.count > 0 && run.bytes > 0) {
    runs.push_back(run);
  }
}

}  // namespace

SplitRuns split_runs(std::span<const Run> runs, std::uint64_t bytes) {
  SplitRuns split;
  for (const Run& run : runs) {
    const std::uint64_t here = std::min(bytes, run.total_bytes());
    bytes -= here;
    if (run.bytes == 0) {
      continue;
    }
    const std::uint64_t whole = here / run.bytes;
    const std::uint64_t cut = here % run.bytes;
    add(split.before, part(run, 0, whole, 0, run.bytes));
    std::uint64_t next = whole;
    if (cut > 0) {
      add(split.before, part(run, whole, 1, 0, cut));
      add(split.after, part(run, whole, 1, cut, run.bytes - cut));
      ++next;
    }
    add(split.after, part(run, next, run.count - next, 0, run.bytes));
  }
  return split;
}

std::uint64_t total_bytes(std::span<const Run> runs) noexcept {
  std::uint64_t total = 0;
  for (const Run& run : runs) {
    total += run.total_bytes();
  }
  return total;
}

}  // namespace kvferry::testing
