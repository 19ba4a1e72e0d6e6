// SPDX-License-Identifier: Apache-2.0
// Goal: an owner that is asked first knows exactly how long its blocks are copied and how that
// ended, however the reader's transfer ends; the reader is told no with the owner's words.
// Method: two managers with agents of shared memory; faults at an exact piece; an engine that
// keeps what it is asked and told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "lease_workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using ::testing::AnyOf;
using testing::FailsWith;
using testing::Fault;
using testing::FaultKind;
using testing::has_no_leases;
using ::testing::HasSubstr;
using testing::ids_from;
using testing::IsOk;
using testing::standard_config;
using testing::Worker;

class Leases : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBlocks = 128;
  static constexpr std::uint64_t kAllBytes = kBlocks * 16'384;
  static constexpr std::uint64_t kStrikesAt = 10;  ///< pieces of 64 KiB, of 32

  Leases() { start_reader(std::nullopt); }

  void start_reader(const std::optional<Fault>& fault) {
    reader_.reset();
    reader_ = std::make_unique<Worker>(directory_, 8, "decode-8", fault);
    mine_ = *reader_->manager->register_layout(destination_);
    const auto handles =
        reader_->manager->import_metadata(*owner_->export_metadata(), testing::knowing_heads());
    EXPECT_THAT(handles, IsOk());
    theirs_ = handles->front();
  }

  Result<transfer::Transfer> pull(const std::vector<BlockId>& blocks, Duration deadline = 20s) {
    transfer::TransferOptions options;
    options.deadline = deadline;
    options.hold_source = true;
    return reader_->manager->execute_transfer(theirs_, blocks, mine_, blocks, options);
  }

  void expect_ended(ErrorCode code, const std::string& words) {
    const auto ended = engine_.next_ended();
    ASSERT_TRUE(ended.has_value());
    ASSERT_TRUE(ended->error.has_value()) << "told as good";
    EXPECT_EQ(ended->error->code, code) << ended->error->message;
    EXPECT_THAT(ended->error->message, HasSubstr(words));
    EXPECT_TRUE(has_no_leases(*owner_));
    EXPECT_EQ(engine_.ended_waiting(), 0U) << "told twice";
  }

  testing::TemporaryDirectory directory_;
  testing::LendingEngine engine_;
  transfer::PhysicalLayoutPtr source_ =
      testing::shared_layout(standard_config(kBlocks), Arrangement::kFullyContiguous, 11);
  transfer::PhysicalLayoutPtr destination_ =
      testing::shared_layout(standard_config(kBlocks), Arrangement::kLayerSeparateBlockFirst, 77);
  std::shared_ptr<agent::Agent> owner_agent_ =
      Worker::make_agent(directory_, "prefill-7", std::nullopt);
  std::unique_ptr<TransportManager> owner_ = testing::make_manager(
      {.worker_id = WorkerId{7}, .agent = owner_agent_, .leases = engine_.hooks()});
  LayoutHandle lent_ = *owner_->register_layout(source_);
  std::unique_ptr<Worker> reader_;
  LayoutHandle mine_;
  LayoutHandle theirs_;
};

TEST_F(Leases, AreGrantedAndEndWithAllBytes) {
  const auto transfer = pull(block_ids({3, 1}));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  const auto ended = engine_.next_ended();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->error, std::nullopt);
  EXPECT_EQ(ended->request.reader, WorkerId{8});
  EXPECT_EQ(ended->request.reader_agent, "decode-8");
  EXPECT_EQ(ended->request.layout, lent_);
  EXPECT_EQ(ended->request.blocks, block_ids({3, 1}));
  EXPECT_TRUE(has_no_leases(*owner_));
}

TEST_F(Leases, AreRefusedWithTheEnginesWords) {
  engine_.set_answer([](const LeaseRequest& request) -> Result<void> {
    return Error{request.blocks[0] == BlockId{3} ? ErrorCode::kRefused : ErrorCode::kStale,
                 "block " + std::to_string(request.blocks[0].value()) + " is evicted"};
  });
  EXPECT_THAT(pull(block_ids({3})), FailsWith(ErrorCode::kRefused, "block 3 is evicted"));
  EXPECT_THAT(pull(block_ids({4})), FailsWith(ErrorCode::kStale, "block 4 is evicted"));
  EXPECT_EQ(owner_->leases_held(), 0U);
  EXPECT_EQ(engine_.ended_waiting(), 0U);
  engine_.set_answer({});
  const auto transfer = pull(block_ids({3}));
  ASSERT_THAT(transfer, IsOk()) << "the destination blocks were given back";
  EXPECT_TRUE(transfer->wait().ok());
}

TEST_F(Leases, AreNotAskedForWhatFailsAnyway) {
  transfer::TransferOptions options;
  options.hold_source = true;
  EXPECT_THAT(pull(block_ids({kBlocks})), FailsWith(ErrorCode::kInvalidArgument, "block"));
  EXPECT_THAT(
      reader_->manager->execute_transfer(mine_, block_ids({0}), mine_, block_ids({1}), options),
      FailsWith(ErrorCode::kInvalidArgument, "hold_source"));
  EXPECT_TRUE(engine_.asked().empty());
  ASSERT_THAT(pull({}), IsOk());
  EXPECT_TRUE(engine_.asked().empty()) << "no blocks, no lease";
}

TEST_F(Leases, OfALayoutThatIsGoneAreStale) {
  ASSERT_THAT(owner_->unregister_layout(lent_, 10s), IsOk());
  EXPECT_THAT(pull(block_ids({0})), FailsWith(ErrorCode::kStale, "the owner refuses"));
}

TEST_F(Leases, HooksMayStartTransfersUntilTheirManagerIsGone) {
  // More than the hook's own thread carries out.
  const auto copy =
      testing::shared_layout(standard_config(kBlocks), Arrangement::kFullyContiguous, 3);
  const LayoutHandle kept = *owner_->register_layout(copy, {.access = Access::kNone});
  TransportManager* const owner = owner_.get();
  std::promise<void> asked;
  engine_.set_answer([&](const LeaseRequest&) -> Result<void> {
    asked.set_value();
    while (true) {  // The manager's destructor begins meanwhile.
      const auto started =
          owner->execute_transfer(lent_, ids_from(0, kBlocks), kept, ids_from(0, kBlocks), {});
      const auto error = started ? started->wait().error : std::optional{started.error()};
      if (error.has_value()) {
        return *error;
      }
    }
  });
  std::promise<Error> refused;
  std::thread reader{[&] { refused.set_value(pull(block_ids({0}), 30s).error()); }};
  asked.get_future().wait();
  owner_.reset();
  reader.join();
  EXPECT_EQ(refused.get_future().get().code, ErrorCode::kCancelled);
}

TEST_F(Leases, KeepTheirLayoutRegistered) {
  start_reader(Fault{FaultKind::kDelay, kStrikesAt, 500ms});
  const auto transfer = pull(ids_from(0, kBlocks));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_THAT(owner_->unregister_layout(lent_, 0s), FailsWith(ErrorCode::kDeadline, "still used"));
  EXPECT_EQ(engine_.ended_waiting(), 0U);
  ASSERT_THAT(owner_->unregister_layout(lent_, 30s), IsOk());
  EXPECT_EQ(engine_.ended_waiting(), 1U) << "unregister waited for the engine to be told";
  EXPECT_TRUE(transfer->wait().ok());
}

TEST_F(Leases, EndAtTheReadersDeadlineWithItsFacts) {
  start_reader(Fault{FaultKind::kDrop, kStrikesAt});
  const auto transfer = pull(ids_from(0, kBlocks), 300ms);
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  EXPECT_GT(report.bytes_moved, 0U);
  EXPECT_LT(report.bytes_moved, kAllBytes);
  expect_ended(ErrorCode::kDeadline,
               std::to_string(report.bytes_moved) + " of " + std::to_string(kAllBytes) + " bytes");
}

TEST_F(Leases, EndWhenTheReaderCancels) {
  start_reader(Fault{FaultKind::kDrop, kStrikesAt});
  const auto transfer = pull(ids_from(0, kBlocks), 100s);
  ASSERT_THAT(transfer, IsOk());
  const auto& faulty = dynamic_cast<const testing::FaultyAgent&>(*reader_->agent);
  while (!faulty.report().struck) {
    std::this_thread::yield();
  }
  const auto report = transfer->cancel();
  EXPECT_GT(report.bytes_moved, 0U);
  expect_ended(ErrorCode::kCancelled, std::to_string(report.bytes_moved) + " of ");
}

TEST_F(Leases, EndWhenNothingCanTouchTheDestinationAnyMore) {
  start_reader(Fault{FaultKind::kDelay, kStrikesAt, 800ms});
  const auto transfer = pull(ids_from(0, kBlocks), 200ms);
  ASSERT_THAT(transfer, IsOk());
  EXPECT_FALSE(transfer->wait().quiet);
  EXPECT_EQ(owner_->leases_held(), 1U) << "the piece will still be read";
  EXPECT_EQ(engine_.ended_waiting(), 0U);
  expect_ended(ErrorCode::kDeadline, " bytes");
  EXPECT_TRUE(transfer->quiet());
}

TEST_F(Leases, EndWhenTheReadersManagerEnds) {
  start_reader(Fault{FaultKind::kDrop, kStrikesAt});
  ASSERT_THAT(pull(ids_from(0, kBlocks), 100s), IsOk());  // The handle is dropped at once.
  reader_.reset();
  expect_ended(ErrorCode::kCancelled, " bytes");
}

TEST_F(Leases, EndThoughTheOwnerIsForgotten) {
  const auto transfer = pull(block_ids({3}));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  ASSERT_THAT(reader_->manager->forget_peer(WorkerId{7}, 10s), IsOk());
  EXPECT_EQ(engine_.next_ended()->error, std::nullopt);
}

TEST_F(Leases, EndWhenTheOwnersManagerEnds) {
  start_reader(Fault{FaultKind::kDrop, kStrikesAt});
  const auto transfer = pull(ids_from(0, kBlocks), 100s);
  ASSERT_THAT(transfer, IsOk());
  owner_.reset();
  const auto ended = engine_.next_ended();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->error->code, ErrorCode::kCancelled);
  transfer->cancel();
  EXPECT_EQ(engine_.ended_waiting(), 0U);
}

TEST_F(Leases, ThatAreGrantedTooLateAreGivenBack) {
  std::promise<void> go_on;
  engine_.set_answer([&go_on](const LeaseRequest&) -> Result<void> {
    go_on.get_future().wait();
    return {};
  });
  EXPECT_THAT(pull(block_ids({1}), 50ms), FailsWith(ErrorCode::kDeadline, "did not answer"));
  go_on.set_value();
  expect_ended(ErrorCode::kDeadline, "did not answer");
}

TEST_F(Leases, MayExpectSequences) {
  const auto guarded =
      *transfer::PhysicalLayoutBuilder{standard_config(4), Arrangement::kFullyContiguous}
           .allocate_system()
           .guarded()
           .build();
  ASSERT_THAT(owner_->register_layout(guarded), IsOk());
  ImportOptions again = testing::knowing_heads();
  const auto handles = reader_->manager->import_metadata(*owner_->export_envelope(), again);
  ASSERT_THAT(handles, IsOk());
  const std::vector<std::uint64_t> expected{0, 2};
  transfer::TransferOptions options;
  options.hold_source = true;
  options.expected_sequences = expected;
  const auto pull_two = [&] {
    return reader_->manager->execute_transfer(handles->back(), block_ids({1, 3}), mine_,
                                              block_ids({0, 1}), options);
  };
  EXPECT_THAT(pull_two(), FailsWith(ErrorCode::kStale, "block 3: its guard is 0, not 2"));
  EXPECT_TRUE(engine_.asked().empty());
  ASSERT_THAT(guarded->guards()->begin_write(BlockId{3}), IsOk());
  ASSERT_THAT(guarded->guards()->end_write(BlockId{3}), IsOk());
  const auto transfer = pull_two();
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_EQ(engine_.next_ended()->request.sequences, expected);
}

TEST_F(Leases, GoBothWaysBetweenTwoWorkers) {
  ASSERT_THAT(pull(block_ids({1}))->wait().error, ::testing::Eq(std::nullopt));
  // The reader is known to the owner as somebody to answer; now it is imported, too.
  const auto back = owner_->import_metadata(reader_->exported(), testing::knowing_heads());
  ASSERT_THAT(back, IsOk());
  const LayoutHandle spare = *owner_->register_layout(
      testing::shared_layout(standard_config(4), Arrangement::kFullyContiguous, 5));
  transfer::TransferOptions options;
  options.hold_source = true;
  const auto transfer =
      owner_->execute_transfer(back->front(), block_ids({2}), spare, block_ids({0}), options);
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_TRUE(has_no_leases(*reader_->manager));
  ASSERT_THAT(owner_->forget_peer(WorkerId{8}, 10s), IsOk());
  const auto again = pull(block_ids({1}));
  ASSERT_THAT(again, IsOk()) << "forgotten as an import, still somebody to answer";
  EXPECT_TRUE(again->wait().ok());
  EXPECT_THAT(owner_->import_metadata(reader_->exported(), testing::knowing_heads()), IsOk());
}

TEST_F(Leases, TenThousandInARowLeakNothing) {
  for (std::uint64_t round = 0; round < 10'000; ++round) {
    const auto transfer = pull(block_ids({round % kBlocks}));
    ASSERT_THAT(transfer, IsOk()) << round;
    ASSERT_TRUE(transfer->wait().ok());
  }
  EXPECT_TRUE(has_no_leases(*owner_));
  EXPECT_EQ(engine_.asked().size(), 10'000U);
  std::size_t good = 0;
  while (engine_.ended_waiting() != 0) {
    good += engine_.next_ended()->error.has_value() ? 0 : 1;
  }
  EXPECT_EQ(good, 10'000U);
  EXPECT_EQ(reader_->manager->transfers_in_flight(), 0U);
}

TEST_F(Leases, EndThoughMessagesAreLostRepeatedTurnedAroundAndFlipped) {
  constexpr testing::MessageFaults kFaults{
      .seed = 5, .lose = 8, .duplicate = 20, .corrupt = 8, .reorder = 8, .delay = 0};
  RecordProperty("seed", static_cast<int>(kFaults.seed));
  owner_.reset();
  owner_ = testing::make_manager(
      {.worker_id = WorkerId{7},
       .agent = std::make_shared<testing::FaultyAgent>(owner_agent_, std::nullopt, kFaults),
       .leases = engine_.hooks()});
  lent_ = *owner_->register_layout(source_);
  reader_.reset();
  const auto twisting = std::make_shared<testing::FaultyAgent>(
      Worker::make_agent(directory_, "decode-9", std::nullopt), std::nullopt, kFaults);
  const auto reader = testing::make_manager({.worker_id = WorkerId{9}, .agent = twisting});
  const LayoutHandle mine = *reader->register_layout(destination_);
  const auto theirs = reader->import_metadata(*owner_->export_envelope());
  ASSERT_THAT(theirs, IsOk());
  transfer::TransferOptions options;
  options.deadline = 30ms;
  options.hold_source = true;
  int good = 0;
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto transfer = reader->execute_transfer(theirs->front(), block_ids({round % kBlocks}),
                                                   mine, block_ids({0}), options);
    if (transfer) {
      const transfer::TransferReport report = transfer->wait();
      good += report.ok() ? 1 : 0;
      // A busy machine may leave nothing of the deadline for the bytes; nothing else may fail.
      EXPECT_TRUE(report.ok() || report.error->code == ErrorCode::kDeadline)
          << report.error->message;
    } else {
      // By the owner, or on a busy machine by its kernel before the question was out.
      EXPECT_THAT(transfer, AnyOf(FailsWith(ErrorCode::kDeadline, "the owner did not answer"),
                                  FailsWith(ErrorCode::kDeadline,
                                            "waiting for an answer: the deadline passed")));
    }
  }
  EXPECT_GT(good, 50);
  EXPECT_LT(good, 200) << "no fault struck";
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (engine_.ended_waiting() != engine_.asked().size() &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_EQ(engine_.ended_waiting(), engine_.asked().size()) << "each grant has one end";
  EXPECT_TRUE(has_no_leases(*owner_));
}

TEST_F(Leases, OfManyThreadsAllEnd) {
  std::vector<std::future<int>> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.push_back(std::async(std::launch::async, [this, thread] {
      int good = 0;
      for (std::uint64_t round = 0; round < 200; ++round) {
        const auto transfer = pull(block_ids({thread * 8 + round % 8}));
        good += transfer && transfer->wait().ok() ? 1 : 0;
      }
      return good;
    }));
  }
  for (std::future<int>& thread : threads) {
    EXPECT_EQ(thread.get(), 200);
  }
  EXPECT_TRUE(has_no_leases(*owner_));
  EXPECT_EQ(engine_.asked().size(), 800U);
}

}  // namespace
}  // namespace kvferry::manager
