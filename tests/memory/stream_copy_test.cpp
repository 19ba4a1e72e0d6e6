// SPDX-License-Identifier: Apache-2.0
// Goal: whichever kernel writes them, exactly the bytes of the runs are written.
// Method: every kernel of this processor, and none, each by itself, on random runs with any sizes,
// strides and addresses, against a copier that loops over every byte; the whole of the regions is
// compared, so that what lies between and around the pieces is a guard.
#include "memory/stream_copy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "kvferry/memory/copy.hpp"

namespace kvferry::memory {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kRegionBytes = std::uint64_t{1} << 18U;

/// One region, so that a run that leaves it is found by the sanitizer too.
class Regions {
 public:
  explicit Regions(std::mt19937_64& random) : source_(kRegionBytes), destination_(kRegionBytes) {
    const auto any = [&random] { return static_cast<std::byte>(random()); };
    std::generate(source_.begin(), source_.end(), any);
    std::generate(destination_.begin(), destination_.end(), any);
  }

  void copy(const StreamKernel* kernel, std::span<const kvferry::Run> runs) {
    const std::array<std::byte*, 1> from{source_.data()};
    const std::array<std::byte*, 1> to{destination_.data()};
    copy_runs_with(kernel, runs, from, to);
  }

  [[nodiscard]] Bytes copied_byte_by_byte(std::span<const kvferry::Run> runs) const {
    Bytes copied = destination_;
    for (const kvferry::Run& run : runs) {
      for (std::uint64_t i = 0; i < run.count * run.bytes; ++i) {
        const std::uint64_t piece = i / run.bytes;
        copied[run.destination.offset_bytes + piece * run.destination.stride_bytes +
               i % run.bytes] =
            source_[run.source.offset_bytes + piece * run.source.stride_bytes + i % run.bytes];
      }
    }
    return copied;
  }

  [[nodiscard]] const Bytes& destination() const { return destination_; }
  /// How far the region's first byte is from the beginning of a line.
  [[nodiscard]] std::uint64_t into_line() const {
    return reinterpret_cast<std::uintptr_t>(destination_.data()) % kLineBytes;
  }

 private:
  Bytes source_;
  Bytes destination_;
};

/// A run anywhere in a region; one time in two its destination is whole lines. Either stride may be
/// the larger one, or none be more than the piece.
kvferry::Run random_run(std::mt19937_64& random, std::uint64_t into_line) {
  const auto below = [&random](std::uint64_t bound) { return random() % bound; };
  constexpr std::array<std::uint64_t, 14> kSizes{1,   32,  63,   64,   96,   128,    256,
                                                 320, 512, 1000, 4096, 5000, 20'000, 70'000};
  kvferry::Run run;
  run.bytes = kSizes[below(kSizes.size())];
  run.source.stride_bytes = run.bytes + below(2) * below(3000);
  run.destination.stride_bytes = run.bytes + below(2) * below(3000);
  run.source.offset_bytes = below(5000);
  run.destination.offset_bytes = below(5000);
  if (below(2) == 0) {
    run.bytes = (run.bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
    run.source.stride_bytes += kLineBytes;
    run.destination.stride_bytes = run.bytes + below(40) * kLineBytes;
    run.destination.offset_bytes = below(70) * kLineBytes + (kLineBytes - into_line) % kLineBytes;
  }
  const std::uint64_t widest = std::max(run.source.stride_bytes, run.destination.stride_bytes);
  run.count = below(std::min<std::uint64_t>((kRegionBytes - 80'000) / widest, 70) + 1);
  return run;
}

void expect_exact_bytes(const StreamKernel* kernel, std::uint32_t seed) {
  std::mt19937_64 random{seed};
  for (int round = 0; round < 25; ++round) {
    Regions regions{random};
    for (int i = 0; i < 15; ++i) {
      const kvferry::Run run = random_run(random, regions.into_line());
      const Bytes expected = regions.copied_byte_by_byte({&run, 1});
      regions.copy(kernel, {&run, 1});
      ASSERT_TRUE(regions.destination() == expected)
          << "round " << round << ": " << run.count << " pieces of " << run.bytes << " every "
          << run.source.stride_bytes << " to every " << run.destination.stride_bytes << ", from "
          << run.source.offset_bytes << " to " << run.destination.offset_bytes;
    }
  }
}

std::uint32_t drawn_seed() {
  const std::uint32_t seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  return seed;
}

TEST(StreamCopy, EveryKernelWritesExactlyTheBytesOfTheRuns) {
  const std::uint32_t seed = drawn_seed();
  for (const StreamKernel& kernel : stream_kernels()) {
    SCOPED_TRACE(std::string{kernel.name} + ", seed " + std::to_string(seed));
    if (kernel.usable) {
      expect_exact_bytes(&kernel, seed);
    } else {
      std::cout << kernel.name << " is not usable on this processor\n";
    }
  }
}

TEST(StreamCopy, WithoutAKernelTheBytesAreTheSame) {
  const std::uint32_t seed = drawn_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  expect_exact_bytes(nullptr, seed);
}

TEST(StreamCopy, TheBestKernelIsTheFirstThatIsUsable) {
  const auto kernels = stream_kernels();
  const auto usable = std::find_if(kernels.begin(), kernels.end(),
                                   [](const StreamKernel& kernel) { return kernel.usable; });
  EXPECT_EQ(best_stream_kernel(), usable == kernels.end() ? nullptr : &*usable);
}

class StreamRun : public ::testing::Test {
 protected:
  /// Counts lines instead of copying them.
  static void count_lines(const Lines& lines) noexcept {
    lines_ += lines.outer.count * lines.inner.count;
  }
  /// How many lines are streamed of `run` to an address that is `into_line` bytes into a line;
  /// -1 when it is left to an ordinary copy.
  static std::int64_t lines_of(const kvferry::Run& run, std::uint64_t into_line = 0) {
    alignas(kLineBytes) static std::array<std::byte, 1U << 17U> to{};
    static const Bytes from(to.size());
    lines_ = 0;
    const StreamKernel counting{"counting", true, count_lines};
    return stream_run(counting, to.data() + into_line, from.data() + 1, run) ? lines_ : -1;
  }

 private:
  static inline std::int64_t lines_{0};
};

TEST_F(StreamRun, StreamsWholeLinesOfShortPiecesOnly) {
  EXPECT_EQ(lines_of({{0, 0, 1000}, {0, 0, 256}, 256, 10}), 40);
  EXPECT_EQ(lines_of({{0, 0, 256}, {0, 0, 4096}, 128, 10}), 20);
  EXPECT_EQ(lines_of({{0, 0, 1000}, {0, 0, 256}, 256, 10}, 16), -1) << "of the address";
  EXPECT_EQ(lines_of({{0, 0, 1000}, {0, 0, 272}, 256, 10}), -1) << "of the stride";
  EXPECT_EQ(lines_of({{0, 0, 1000}, {0, 0, 128}, 96, 10}), -1) << "of the piece";
}

TEST_F(StreamRun, StreamsWhatIsWholeLinesInsideOfLongPieces) {
  EXPECT_EQ(lines_of({{0, 0, 0}, {0, 0, 0}, 65'536, 1}), 1024);
  EXPECT_EQ(lines_of({{0, 0, 0}, {0, 0, 0}, 65'536, 1}, 1), 1023);
  EXPECT_EQ(lines_of({{0, 0, 9000}, {0, 0, 8200}, 8192, 2}, 1), 2 * 127);
}

TEST_F(StreamRun, TakesPiecesThatFollowEachOtherAsOne) {
  EXPECT_EQ(lines_of({{0, 0, 96}, {0, 0, 96}, 96, 1000}), 1500);
}

}  // namespace
}  // namespace kvferry::memory
