// SPDX-License-Identifier: Apache-2.0
// Goal: a worker may add, change and remove layouts while others pull: no transfer ever calls wrong
//       bytes good, and none hangs.
// Method: 100,000 pulls by two threads from an owner that changes 1,000 times what it has, from a
//         printed seed; every layout has bytes of its own, and the memory of one that is gone is
//         overwritten at once. Each pull that ended well is checked byte by byte.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using testing::IsOk;
using testing::Worker;

constexpr std::uint64_t kBlocks = 16;
constexpr std::uint64_t kPulls = 100'000;
constexpr int kPullers = 2;
constexpr int kChanges = 1'000;
constexpr std::uint64_t kSeed = 77;

/// 512 bytes a block: small enough for many pulls, large enough to be torn.
layout::LayoutConfig block_config() {
  return layout::LayoutConfig{.num_blocks = kBlocks,
                              .num_layers = 2,
                              .outer_dim = 2,
                              .page_size = 4,
                              .inner_dim = 16,
                              .inner_shape = layout::InnerShape::kNhd,
                              .num_heads = 2};
}

/// What every 8 bytes of layout number `serial` hold.
std::uint64_t word_of(std::uint64_t serial) { return 0xC0DE'0000'0000'0000U + serial; }

void fill(std::span<std::byte> bytes, std::uint64_t word) {
  for (std::size_t i = 0; i + sizeof(word) <= bytes.size(); i += sizeof(word)) {
    std::memcpy(bytes.data() + i, &word, sizeof(word));
  }
}

/// One layout of the owner.
struct Owned {
  LayoutHandle handle{};
  std::uint64_t serial{0};
  transfer::PhysicalLayoutPtr physical;
};

/// What a puller may read, and what it has to find there.
struct Source {
  LayoutHandle handle{};
  std::uint64_t serial{0};
};

class Churn {
 public:
  Churn() {
    for (int i = 0; i < 4; ++i) {
      owned_.push_back(add());
    }
    tell();
  }

  void run() {
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < kPullers; ++i) {
      threads.emplace_back([this, i] { pull_all(i); });
    }
    change_all();
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  std::atomic<std::uint64_t> good{0};
  std::atomic<std::uint64_t> stale{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> other{0};
  int changes{0};

 private:
  transfer::PhysicalLayoutPtr make(std::uint64_t serial) {
    auto built = transfer::PhysicalLayoutBuilder{block_config(), Arrangement::kFullyContiguous}
                     .allocate_system()
                     .guarded()
                     .build();
    EXPECT_THAT(built, IsOk());
    fill((*built)->memories()[0]->bytes(), word_of(serial));
    return *built;
  }
  Owned add() {
    Owned made{{}, next_serial_++, nullptr};
    made.physical = make(made.serial);
    made.handle = *owner_.manager->register_layout(made.physical);
    return made;
  }

  /// What an engine does with memory that is its own again: it says so, and writes.
  static void recycle(const Owned& gone) {
    for (std::uint64_t block = 0; block < kBlocks; ++block) {
      EXPECT_THAT(gone.physical->guards()->begin_write(BlockId{block}), IsOk());
    }
    fill(gone.physical->memories()[0]->bytes(), ~std::uint64_t{0});
  }

  /// The reader learns what there is now.
  void tell() {
    const auto message = owner_.manager->export_envelope();
    ASSERT_THAT(message, IsOk());
    const auto handles = reader_.manager->import_metadata(*message, {.deadline = 30s});
    ASSERT_THAT(handles, IsOk());
    ASSERT_EQ(handles->size(), owned_.size());
    const MutexLock lock{mutex_};
    sources_.clear();
    for (std::size_t i = 0; i < handles->size(); ++i) {
      for (const Owned& owned : owned_) {
        if (owned.handle.layout_id() == (*handles)[i].layout_id()) {
          sources_.push_back({(*handles)[i], owned.serial});
        }
      }
    }
  }

  void change_all() {
    std::mt19937_64 random{kSeed};
    for (changes = 0; changes < kChanges; ++changes) {
      const std::size_t victim = random() % owned_.size();
      const std::uint64_t dice = random() % 3;
      if (dice == 0 || owned_.size() < 3) {
        owned_.push_back(add());
      } else if (dice == 1 || owned_.size() > 6) {
        const Owned gone = owned_[victim];
        owned_.erase(owned_.begin() + static_cast<std::ptrdiff_t>(victim));
        ASSERT_THAT(owner_.manager->unregister_layout(gone.handle, 30s), IsOk());
        recycle(gone);
      } else {
        const Owned gone = owned_[victim];
        Owned next{{}, next_serial_++, nullptr};
        next.physical = make(next.serial);
        const auto changed = owner_.manager->change_layout(gone.handle, next.physical, 30s);
        ASSERT_THAT(changed, IsOk());
        next.handle = *changed;
        owned_[victim] = next;
        recycle(gone);
      }
      tell();
      // The changes are spread over the pulls.
      while (pulled_.load() < kPulls * static_cast<std::uint64_t>(changes) / kChanges) {
        std::this_thread::yield();
      }
    }
  }

  Source pick(std::mt19937_64& random) {
    const MutexLock lock{mutex_};
    return sources_[random() % sources_.size()];
  }

  void pull_all(std::uint64_t number) {
    std::mt19937_64 random{kSeed + 1 + number};
    const auto into = testing::shared_layout(block_config(), Arrangement::kFullyContiguous, 1);
    const auto mine = reader_.manager->register_layout(into, {.access = Access::kNone});
    ASSERT_THAT(mine, IsOk());
    const std::span<std::byte> bytes = into->memories()[0]->bytes();
    Source source = pick(random);
    while (pulled_.fetch_add(1) < kPulls) {
      if (random() % 8 == 0) {
        source = pick(random);  // Others go on with what they have, stale or not.
      }
      const std::uint64_t count = 1 + random() % 4;
      const auto blocks = testing::ids_from(random() % (kBlocks - count), count);
      fill(bytes, 0);
      const auto transfer = reader_.manager->execute_transfer(source.handle, blocks, *mine, blocks,
                                                              {.deadline = 30s});
      const Result<void> ended = transfer ? end_of(*transfer) : Result<void>{transfer.error()};
      if (!ended) {
        ++(ended.error().code == ErrorCode::kStale ? stale : other);
        source = pick(random);
        continue;
      }
      ++good;
      for (const BlockId block : blocks) {
        const auto piece = bytes.subspan(block.value() * 512, 512);
        std::vector<std::byte> expected(piece.size());
        fill(expected, word_of(source.serial));
        wrong += std::memcmp(piece.data(), expected.data(), piece.size()) == 0 ? 0 : 1;
      }
    }
  }
  static Result<void> end_of(const transfer::Transfer& transfer) {
    const auto report = transfer.wait();
    return report.error ? Result<void>{*report.error} : Result<void>{};
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "prefill-7"};
  Worker reader_{directory_, 8, "decode-8"};
  std::uint64_t next_serial_{1};
  std::vector<Owned> owned_;
  std::atomic<std::uint64_t> pulled_{0};
  Mutex mutex_;
  std::vector<Source> sources_ KVFERRY_GUARDED_BY(mutex_);
};

TEST(Churn, ThousandChangesUnderAHundredThousandPulls) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Churn churn;
  churn.run();
  std::printf("%llu pulls good, %llu stale, %llu wrong blocks, %d changes\n",
              static_cast<unsigned long long>(churn.good),
              static_cast<unsigned long long>(churn.stale),
              static_cast<unsigned long long>(churn.wrong), churn.changes);
  EXPECT_EQ(churn.changes, kChanges);
  EXPECT_EQ(churn.good + churn.stale, kPulls);
  EXPECT_EQ(churn.other, 0U);
  EXPECT_EQ(churn.wrong, 0U);
  EXPECT_GT(churn.stale, 0U) << "no change met a pull";
  EXPECT_GT(churn.good, kPulls / 2);
}

}  // namespace
}  // namespace kvferry::manager
