// SPDX-License-Identifier: Apache-2.0
// Goal: every method of a manager may be called from any thread, and none leaves a handle, a claim
//       or a byte that it should not.
// Method: eight threads, 100,000 operations from printed seeds on two workers of one process, each
//         result one of those that the interplay allows; at the end everything is given back.
//         Races are ThreadSanitizer's to find.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using testing::GuardedCache;
using testing::IsOk;
using testing::standard_config;
using testing::Worker;

constexpr int kThreads = 8;
constexpr std::uint64_t kBlocks = 32;

/// What eight threads do at once; each thread has blocks of its own to write.
class Crowd {
 public:
  void run(int operations_of_thread) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([this, thread, operations_of_thread] {
        std::mt19937_64 random{static_cast<std::uint64_t>(thread)};
        for (int i = 0; i < operations_of_thread; ++i) {
          operate(thread, random);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  void expect_all_given_back() {
    EXPECT_GT(moved_, 0U);
    EXPECT_GT(pulled_, 0U);
    EXPECT_THAT(reader_.manager->unregister_layout(to_, 10s), IsOk());
    EXPECT_THAT(reader_.manager->unregister_layout(from_, 10s), IsOk());
    EXPECT_EQ(reader_.manager->transfers_in_flight(), 0U);
    EXPECT_TRUE(reader_.manager->local_handles().empty());
    if (!reader_.manager->peers().empty()) {
      EXPECT_THAT(reader_.manager->forget_peer(WorkerId{7}, 10s), IsOk());
    }
  }

  [[nodiscard]] std::uint64_t operations() const { return operations_; }

 private:
  static void allow(const Error& error, std::initializer_list<ErrorCode> codes) {
    EXPECT_NE(std::find(codes.begin(), codes.end(), error.code), codes.end())
        << to_string(error.code) << ": " << error.message;
  }

  void operate(int thread, std::mt19937_64& random) {
    ++operations_;
    const std::uint64_t dice = random() % 100;
    if (dice < 55) {
      move(thread, from_, random());
    } else if (dice < 75) {
      move(thread, theirs(), random());
    } else if (dice < 90) {
      register_and_unregister();
    } else if (dice < 94) {
      EXPECT_THAT(reader_.manager->export_metadata(), IsOk());
    } else if (dice < 98) {
      import();
    } else if (dice < 99) {
      forget();
    } else {
      static_cast<void>(reader_.manager->peers());
      static_cast<void>(reader_.manager->local_handles());
      static_cast<void>(reader_.manager->compatibility(theirs(), to_));
    }
  }

  /// Writes the thread's own blocks; every sixteenth time a block that all fight for.
  void move(int thread, LayoutHandle source, std::uint64_t dice) {
    const bool contested = dice % 16 == 0;
    const std::uint64_t own = 4 * static_cast<std::uint64_t>(thread % 7);
    const BlockId to{contested ? kBlocks - 1 : own + dice / 16 % 4};
    const BlockId from{dice / 64 % kBlocks};
    const auto transfer = reader_.manager->execute_transfer(source, {{from}}, to_, {{to}});
    const bool is_remote = source != from_;
    if (!transfer) {
      if (contested) {
        return allow(transfer.error(), {ErrorCode::kBusy, ErrorCode::kStale});
      }
      // Two threads share the first blocks: there are eight and seven pieces.
      return thread % 7 == 0 ? allow(transfer.error(), {ErrorCode::kBusy, ErrorCode::kStale})
                             : allow(transfer.error(), {ErrorCode::kStale});
    }
    const auto report = transfer->wait();
    if (report.error) {
      return allow(*report.error, {ErrorCode::kStale, ErrorCode::kUnavailable});
    }
    is_remote ? ++pulled_ : ++moved_;
  }

  void register_and_unregister() {
    const auto handle = reader_.manager->register_layout(spare_, {.access = Access::kRead});
    if (!handle) {
      return allow(handle.error(), {ErrorCode::kBusy});
    }
    const auto moved =
        reader_.manager->execute_transfer(*handle, block_ids({0}), *handle, block_ids({1}));
    if (!moved) {
      allow(moved.error(), {ErrorCode::kBusy});
    }
    EXPECT_THAT(reader_.manager->unregister_layout(*handle, 30s), IsOk());
    EXPECT_FALSE(reader_.manager->unregister_layout(*handle, 0s).has_value());
  }

  void import() {
    const auto handles = reader_.manager->import_metadata(message_, testing::knowing_heads());
    if (!handles) {
      return allow(handles.error(), {ErrorCode::kDeadline});
    }
    const MutexLock lock{theirs_mutex_};
    theirs_ = handles->front();
  }

  LayoutHandle theirs() {
    const MutexLock lock{theirs_mutex_};
    return theirs_;
  }

  void forget() {
    const auto forgotten = reader_.manager->forget_peer(WorkerId{7}, 30s);
    if (!forgotten) {
      allow(forgotten.error(), {ErrorCode::kStale});
    }
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "prefill-7"};
  Worker reader_{directory_, 8, "decode-8"};
  transfer::PhysicalLayoutPtr shared_ =
      testing::shared_layout(standard_config(kBlocks), Arrangement::kFullyContiguous, 1);
  transfer::PhysicalLayoutPtr spare_ =
      testing::shared_layout(testing::tiny_config(4), Arrangement::kFullyContiguous, 1);
  GuardedCache source_{standard_config(kBlocks), Arrangement::kFullyContiguous, 1};
  GuardedCache destination_{standard_config(kBlocks), Arrangement::kLayerSeparateBlockFirst, 2};
  Mutex theirs_mutex_;
  LayoutHandle theirs_ KVFERRY_GUARDED_BY(theirs_mutex_) =
      *owner_.manager->register_layout(shared_);
  LayoutHandle from_ = testing::register_cache(*reader_.manager, source_);
  LayoutHandle to_ = testing::register_cache(*reader_.manager, destination_);
  wire::SerializedLayout message_ = owner_.exported();
  std::atomic<std::uint64_t> operations_{0};
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<std::uint64_t> pulled_{0};
};

TEST(TransportManagerConcurrency, HundredThousandOperationsOfEightThreads) {
  Crowd crowd;
  crowd.run(12'500);
  EXPECT_EQ(crowd.operations(), 100'000U);
  crowd.expect_all_given_back();
}

TEST(TransportManagerConcurrency, NoTransferBeginsOnceALayoutIsTakenAway) {
  // A closer that gives up must not let transfers in behind one that waits.
  const auto manager = testing::local_manager();
  GuardedCache source{standard_config(8), Arrangement::kFullyContiguous, 1};
  GuardedCache destination{standard_config(8), Arrangement::kLayerSeparateBlockFirst, 2};
  const LayoutHandle from = testing::register_cache(*manager, source);
  for (int round = 0; round < 300; ++round) {
    const LayoutHandle to = testing::register_cache(*manager, destination);
    std::atomic<bool> gone{false};
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        while (true) {
          const bool was_gone = gone;
          const auto transfer = manager->execute_transfer(from, {{BlockId{i}}}, to, {{BlockId{i}}});
          EXPECT_FALSE(was_gone && transfer.has_value());
          if (!transfer && transfer.error().code == ErrorCode::kStale && gone) {
            return;
          }
        }
      });
    }
    threads.emplace_back([&] { static_cast<void>(manager->unregister_layout(to, 0s)); });
    const auto done = manager->unregister_layout(to, 30s);
    gone = true;
    if (!done) {
      EXPECT_EQ(done.error().code, ErrorCode::kStale);
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
}

}  // namespace
}  // namespace kvferry::manager
