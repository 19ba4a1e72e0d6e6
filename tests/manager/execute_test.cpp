// SPDX-License-Identifier: Apache-2.0
// Goal: what cannot be moved is refused before a byte moves, with the code that says what to do;
//       what was started ends with facts.
// Method: each refusal by its code and message, the whole destination compared before and after;
//         deadlines and cancels strike large transfers in the middle, and the destination is
//         refilled afterwards and watched.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using layout::InnerShape;
using layout::LayoutConfig;
using testing::FailsWith;
using testing::GuardedCache;
using testing::ids_from;
using testing::IsOk;
using testing::standard_config;

class Execute : public ::testing::Test {
 protected:
  /// Expects a refusal that leaves the destination as it is and nothing claimed.
  void refused(const Result<transfer::Transfer>& transfer, ErrorCode code, const char* why) {
    EXPECT_THAT(transfer, FailsWith(code, why));
    EXPECT_TRUE(destination_.holds(before_)) << "a byte moved";
    EXPECT_EQ(manager_->transfers_in_flight(), 0U);
  }
  Result<transfer::Transfer> execute(const std::vector<BlockId>& from,
                                     const std::vector<BlockId>& to,
                                     const plan::LayerRange& layers = {}) {
    transfer::TransferOptions options;
    options.layers = layers;
    return manager_->execute_transfer(source_handle_, from, destination_handle_, to, options);
  }

  std::unique_ptr<TransportManager> manager_ = testing::local_manager();
  GuardedCache source_{standard_config(4), Arrangement::kFullyContiguous, 1};
  GuardedCache destination_{standard_config(6), Arrangement::kLayerSeparateBlockSecond, 2};
  GuardedCache::Bytes before_ = destination_.bytes();
  LayoutHandle source_handle_ = testing::register_cache(*manager_, source_);
  LayoutHandle destination_handle_ = testing::register_cache(*manager_, destination_);
};

TEST_F(Execute, RefusesBlocksOutOfRange) {
  const auto last = std::numeric_limits<std::uint64_t>::max();
  refused(execute(block_ids({4}), block_ids({0})), ErrorCode::kInvalidArgument,
          "source block 4 of 4");
  refused(execute(block_ids({0, last}), block_ids({0, 1})), ErrorCode::kInvalidArgument,
          "source block 18446744073709551615 of 4");
  refused(execute(block_ids({0, 1}), block_ids({5, 6})), ErrorCode::kInvalidArgument,
          "destination block 6 of 6");
  refused(execute(block_ids({0}), block_ids({last})), ErrorCode::kInvalidArgument,
          "destination block 18446744073709551615 of 6");
}

TEST_F(Execute, RefusesADestinationNamedTwice) {
  refused(execute(block_ids({0, 1, 2}), block_ids({3, 0, 3})), ErrorCode::kInvalidArgument,
          "destination block 3 is named twice");
}

TEST_F(Execute, RefusesListsOfUnequalLength) {
  refused(execute(block_ids({0, 1}), block_ids({0})), ErrorCode::kInvalidArgument, "2 source");
  refused(execute({}, block_ids({0})), ErrorCode::kInvalidArgument, "0 source");
}

TEST_F(Execute, RefusesLayersPastTheEndEvenOfAnEmptyTransfer) {
  for (const plan::LayerRange layers :
       {plan::LayerRange{0, 3}, plan::LayerRange{2, 3}, plan::LayerRange{3, 3},
        plan::LayerRange{2, 1}, plan::LayerRange{3, plan::LayerRange::kAll}}) {
    refused(execute(block_ids({0}), block_ids({0}), layers), ErrorCode::kInvalidArgument, "layers");
  }
  EXPECT_THAT(execute({}, {}, {1, 3}), FailsWith(ErrorCode::kInvalidArgument, "layers 1:3"));
}

TEST_F(Execute, RefusesLayoutsThatCannotHoldEachOthersBytes) {
  const auto against = [&](const LayoutConfig& config, const char* field) {
    const GuardedCache other{config, Arrangement::kFullyContiguous, 3};
    const LayoutHandle handle = testing::register_cache(*manager_, other);
    refused(manager_->execute_transfer(handle, block_ids({0}), destination_handle_, block_ids({0})),
            ErrorCode::kIncompatible, field);
  };
  LayoutConfig config = standard_config(4);
  config.num_layers = 3;
  against(config, "num_layers 3 against 2");
  config = standard_config(4);
  config.outer_dim = 1;
  against(config, "outer_dim 1 against 2");
  config = standard_config(4);
  config.dtype_width_bytes = 4;
  config.inner_dim = 64;  // The same bytes.
  against(config, "dtype_width_bytes 4 against 2");
  config = standard_config(4);
  config.num_heads = 4;
  against(config, "num_heads 4 against 2");
  config = standard_config(4);
  config.num_heads.reset();
  config.inner_shape = InnerShape::kUnknown;
  against(config, "inner_shape Unknown against NHD");
  config.inner_shape = InnerShape::kNhd;
  config.page_size = 32;
  config.inner_dim = 64;
  against(config, "page_size 32 against 16");
}

TEST_F(Execute, RefusesSourceAndDestinationInOneBlock) {
  const auto in_one = [&](const std::vector<BlockId>& from, const std::vector<BlockId>& to) {
    return manager_->execute_transfer(destination_handle_, from, destination_handle_, to);
  };
  refused(in_one(block_ids({1}), block_ids({1})), ErrorCode::kInvalidArgument, "block 1 ");
  refused(in_one(block_ids({0, 1, 2}), block_ids({3, 4, 1})), ErrorCode::kInvalidArgument,
          "block 1 of one layout is both source and destination");
  const auto apart = in_one(block_ids({0, 1}), block_ids({4, 5}));
  ASSERT_THAT(apart, IsOk());
  EXPECT_TRUE(apart->wait().ok());
  EXPECT_TRUE(destination_.holds_block(BlockId{4}, destination_, BlockId{0}));
}

TEST_F(Execute, RefusesABlockThatOneSourceGivesAndAnotherOverwrites) {
  const std::vector<LayoutHandle> both{source_handle_, destination_handle_};
  const auto gather = [&](const std::vector<BlockId>& from, const std::vector<BlockId>& to) {
    return manager_->execute_transfer(both, from, destination_handle_, to);
  };
  refused(gather(block_ids({0, 1}), block_ids({1, 2})), ErrorCode::kInvalidArgument,
          "block 1 of one layout is both source and destination");
  const auto apart = gather(block_ids({0, 1}), block_ids({2, 3}));
  ASSERT_THAT(apart, IsOk());
  EXPECT_TRUE(apart->wait().ok());
}

TEST_F(Execute, RefusesTwoLayoutsOverTheSameMemory) {
  const auto over = [&](std::size_t first) {
    auto* const base = destination_.physical()->region_bases()[0];
    LayoutConfig config = standard_config(1);
    const auto layout =
        transfer::PhysicalLayout::fully_contiguous(config).adopt({{base + first, 16'384}}).build();
    EXPECT_THAT(layout, IsOk());
    const LayoutHandle handle = *manager_->register_layout(*layout);
    return manager_->execute_transfer(handle, block_ids({0}), destination_handle_, block_ids({0}));
  };
  refused(over(0), ErrorCode::kInvalidArgument, "two layouts over the same memory");
  refused(over(6 * 8192 - 1), ErrorCode::kInvalidArgument, "same memory");
}

TEST_F(Execute, RefusesTheSameBlockOfALayoutThatIsRegisteredTwice) {
  const LayoutHandle again = testing::register_cache(*manager_, destination_);
  refused(manager_->execute_transfer(again, block_ids({2}), destination_handle_, block_ids({2})),
          ErrorCode::kInvalidArgument, "block 2 of one layout");
}

TEST_F(Execute, RefusesHandlesThatAreNotKnown) {
  const LayoutHandle never{WorkerId{7}, LayoutId{9}};
  const LayoutHandle foreign{WorkerId{8}, LayoutId{0}};
  const LayoutHandle reserved = LayoutHandle::from_bits((std::uint64_t{1} << 16U), 7);
  for (const LayoutHandle handle : {never, foreign, reserved}) {
    refused(manager_->execute_transfer(handle, block_ids({0}), destination_handle_, block_ids({0})),
            ErrorCode::kStale, "not registered");
    refused(manager_->execute_transfer(source_handle_, block_ids({0}), handle, block_ids({0})),
            ErrorCode::kStale, "not registered");
    EXPECT_THAT(manager_->compatibility(handle, source_handle_), FailsWith(ErrorCode::kStale, ""));
  }
  ASSERT_THAT(manager_->unregister_layout(source_handle_, 1s), IsOk());
  refused(execute(block_ids({0}), block_ids({0})), ErrorCode::kStale, "not registered");
}

TEST_F(Execute, DeadlineInThePastIsToldAndNothingMoved) {
  const auto transfer = manager_->execute_transfer(
      source_handle_, block_ids({0, 1}), destination_handle_, block_ids({3, 2}), {.deadline = -1s});
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
  EXPECT_EQ(report.bytes_moved, 0U);
  EXPECT_EQ(report.bad_blocks, block_ids({2, 3}));
  EXPECT_TRUE(destination_.holds(before_));
  EXPECT_THAT(execute(block_ids({0, 1}), block_ids({3, 2})), IsOk()) << "nothing stays claimed";
}

TEST_F(Execute, ReportsWhatItDid) {
  const auto transfer = execute(block_ids({0, 1}), block_ids({2, 3}));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  EXPECT_EQ(report.route, "host copy");
  EXPECT_EQ(report.plan.block_pairs, 2U);
  EXPECT_EQ(report.plan.runs_before, 8U);
  EXPECT_EQ(report.plan.coverage, 1.0);
  EXPECT_GE(report.plan_time, Duration::zero());
  EXPECT_GE(report.transfer_time, Duration::zero());
  EXPECT_TRUE(report.quiet);
}

TEST_F(Execute, SaysHowTwoLayoutsStandToEachOther) {
  const auto verdict = manager_->compatibility(source_handle_, destination_handle_);
  ASSERT_THAT(verdict, IsOk());
  EXPECT_EQ(verdict->verdict, layout::Verdict::kCopyable);
}

/// 48 MiB in small pieces: long enough to be struck in the middle.
class ExecuteLong : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBlocks = 3 * 1024;

  ExecuteLong() {
    std::mt19937_64 random{9};
    std::shuffle(to_.begin(), to_.end(), random);
  }

  transfer::Transfer start(Duration deadline) {
    auto transfer = manager_->execute_transfer(source_handle_, from_, destination_handle_, to_,
                                               {.deadline = deadline});
    EXPECT_THAT(transfer, IsOk());
    return *std::move(transfer);
  }

  /// The report must tell exactly which blocks arrived, and memory must be left alone afterwards.
  void check_facts(const transfer::Transfer& transfer, const transfer::TransferReport& report) {
    EXPECT_GT(report.bytes_moved, 0U);
    EXPECT_LT(report.bytes_moved, report.plan.bytes_moved);
    EXPECT_TRUE(report.quiet);
    EXPECT_TRUE(transfer.quiet());
    EXPECT_TRUE(std::is_sorted(report.bad_blocks.begin(), report.bad_blocks.end()));
    std::size_t good = 0;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      if (!std::binary_search(report.bad_blocks.begin(), report.bad_blocks.end(), to_[i])) {
        ++good;
        ASSERT_TRUE(destination_.holds_block(to_[i], source_, from_[i])) << "said to be good";
      }
    }
    EXPECT_EQ(good + report.bad_blocks.size(), kBlocks);
    EXPECT_GT(good, 0U);

    destination_.set_bytes(refill_);
    std::promise<void> nobody;
    nobody.get_future().wait_for(1s);  // For writers that should not be there.
    EXPECT_TRUE(destination_.holds(refill_)) << "written after the end";
    EXPECT_TRUE(start(100s).wait().ok()) << "nothing stays claimed";
  }

  GuardedCache source_{standard_config(kBlocks), Arrangement::kFullyContiguous, 1};
  GuardedCache destination_{standard_config(kBlocks), Arrangement::kLayerSeparateBlockSecond, 2};
  GuardedCache::Bytes refill_ = destination_.bytes();
  std::vector<BlockId> from_ = ids_from(0, kBlocks);
  std::vector<BlockId> to_ = ids_from(0, kBlocks);
  std::unique_ptr<TransportManager> manager_ = testing::local_manager();
  LayoutHandle source_handle_ = testing::register_cache(*manager_, source_);
  LayoutHandle destination_handle_ = testing::register_cache(*manager_, destination_);
};

TEST_F(ExecuteLong, DeadlineInTheMiddleIsAFact) {
  // How long a whole one takes is the machine's: half of it is looked for.
  transfer::TransferReport report = start(100s).wait();
  ASSERT_TRUE(report.ok());
  Duration deadline = report.plan_time + report.transfer_time / 2;
  for (int attempt = 0; attempt < 50; ++attempt) {
    destination_.set_bytes(refill_);
    const TimePoint begin = std::chrono::steady_clock::now();
    const transfer::Transfer transfer = start(deadline);
    report = transfer.wait();
    if (report.error && report.bad_blocks.size() < kBlocks) {
      EXPECT_EQ(report.error->code, ErrorCode::kDeadline);
      EXPECT_LT(std::chrono::steady_clock::now() - begin, deadline + 500ms);
      return check_facts(transfer, report);
    }
    deadline = report.error ? deadline * 5 / 4 : deadline * 3 / 4;
  }
  FAIL() << "no deadline struck in the middle";
}

TEST_F(ExecuteLong, CancelInTheMiddleIsAFact) {
  Duration time = start(100s).wait().transfer_time / 2;
  for (int attempt = 0; attempt < 50; ++attempt) {
    destination_.set_bytes(refill_);
    const transfer::Transfer transfer = start(100s);
    (void)transfer.wait_for(time);
    const TimePoint begin = std::chrono::steady_clock::now();
    const auto report = transfer.cancel();
    if (report.error && report.bad_blocks.size() < kBlocks) {
      EXPECT_EQ(report.error->code, ErrorCode::kCancelled);
      EXPECT_LT(std::chrono::steady_clock::now() - begin, 500ms);
      return check_facts(transfer, report);
    }
    time = report.error ? time * 5 / 4 : time * 3 / 4;
  }
  FAIL() << "no cancel struck in the middle";
}

TEST_F(ExecuteLong, ClaimedDestinationIsBusyUntilTheEnd) {
  const transfer::Transfer first = start(100s);
  const auto second = manager_->execute_transfer(source_handle_, block_ids({0}),
                                                 destination_handle_, block_ids({77}));
  if (!first.poll()) {  // Else the machine was quicker than this test.
    EXPECT_THAT(second, FailsWith(ErrorCode::kBusy, "destination block 77 is claimed"));
  }
  EXPECT_TRUE(first.wait().ok());
  EXPECT_THAT(manager_->execute_transfer(source_handle_, block_ids({0}), destination_handle_,
                                         block_ids({77})),
              IsOk());
}

TEST_F(ExecuteLong, ClaimsHoldForEveryHandleOfALayout) {
  const LayoutHandle again = testing::register_cache(*manager_, destination_);
  const auto other = testing::local_manager();
  const LayoutHandle elsewhere = testing::register_cache(*other, destination_);
  const LayoutHandle source = testing::register_cache(*other, source_);
  const transfer::Transfer first = start(100s);
  const auto second =
      manager_->execute_transfer(source_handle_, block_ids({0}), again, block_ids({77}));
  const auto third = other->execute_transfer(source, block_ids({0}), elsewhere, block_ids({77}));
  if (!first.poll()) {
    EXPECT_THAT(second, FailsWith(ErrorCode::kBusy, "block 77"));
    EXPECT_THAT(third, FailsWith(ErrorCode::kBusy, "block 77"));
  }
  EXPECT_TRUE(first.wait().ok());
}

TEST_F(ExecuteLong, DroppedTransferGoesOnToItsEnd) {
  { const transfer::Transfer dropped = start(100s); }
  while (manager_->transfers_in_flight() != 0) {
    std::this_thread::yield();
  }
  for (std::size_t i = 0; i < kBlocks; ++i) {
    ASSERT_TRUE(destination_.holds_block(to_[i], source_, from_[i]));
  }
  EXPECT_TRUE(start(100s).wait().ok());
}

TEST_F(ExecuteLong, UnregisterWaitsForTransfersOrSaysThatTheyGoOn) {
  const transfer::Transfer transfer = start(100s);
  const auto at_once = manager_->unregister_layout(destination_handle_, 0s);
  if (!at_once) {
    EXPECT_THAT(at_once, FailsWith(ErrorCode::kDeadline, "still used by transfers"));
    EXPECT_THAT(manager_->unregister_layout(destination_handle_, 100s), IsOk());
  }
  destination_.set_bytes(refill_);  // It had to end first.
  EXPECT_TRUE(transfer.wait().ok());
  EXPECT_TRUE(destination_.holds(refill_));
  EXPECT_THAT(manager_->unregister_layout(destination_handle_, 1s),
              FailsWith(ErrorCode::kStale, ""));
}

TEST_F(ExecuteLong, DestroyingTheManagerCancelsAndLeavesMemoryQuiet) {
  const transfer::Transfer transfer = start(100s);
  manager_.reset();
  ASSERT_TRUE(transfer.poll().has_value());
  EXPECT_TRUE(transfer.quiet());
  destination_.set_bytes(refill_);
  EXPECT_TRUE(transfer.wait().ok() || transfer.wait().error->code == ErrorCode::kCancelled);
  EXPECT_TRUE(destination_.holds(refill_));
}

}  // namespace
}  // namespace kvferry::manager
