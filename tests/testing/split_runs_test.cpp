// SPDX-License-Identifier: Apache-2.0
// Goal: cutting runs loses, moves and adds no byte, and cuts at the very byte asked for.
// Method: random runs are written out byte by byte, and so are both parts of every cut.
#include "kvferry/testing/split_runs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

namespace kvferry::testing {
namespace {

using Moves = std::vector<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t, std::uint64_t>>;

Moves written_out(std::span<const Run> runs) {
  Moves moves;
  for (const Run& run : runs) {
    for (std::uint64_t piece = 0; piece < run.count; ++piece) {
      for (std::uint64_t byte = 0; byte < run.bytes; ++byte) {
        moves.emplace_back(
            run.source.region, run.source.offset_bytes + piece * run.source.stride_bytes + byte,
            run.destination.region,
            run.destination.offset_bytes + piece * run.destination.stride_bytes + byte);
      }
    }
  }
  return moves;
}

TEST(SplitRuns, KeepsEveryByteInOrder) {
  constexpr unsigned kSeed = 3;
  RecordProperty("seed", static_cast<int>(kSeed));
  std::mt19937 random{kSeed};
  for (int round = 0; round < 200; ++round) {
    std::vector<kvferry::Run> runs(random() % 4);
    for (kvferry::Run& run : runs) {
      run = {{static_cast<std::uint32_t>(random() % 3), random() % 50, random() % 20},
             {static_cast<std::uint32_t>(random() % 3), random() % 50, random() % 20},
             random() % 8,
             random() % 5};
    }
    const Moves all = written_out(runs);
    ASSERT_EQ(total_bytes(runs), all.size());
    for (std::size_t cut = 0; cut <= all.size() + 1; ++cut) {
      const SplitRuns split = split_runs(runs, cut);
      Moves parts = written_out(split.before);
      ASSERT_EQ(parts.size(), std::min(cut, all.size())) << kSeed << ' ' << round;
      const Moves after = written_out(split.after);
      parts.insert(parts.end(), after.begin(), after.end());
      ASSERT_EQ(parts, all) << kSeed << ' ' << round << " cut " << cut;
    }
  }
}

}  // namespace
}  // namespace kvferry::testing
