// SPDX-License-Identifier: Apache-2.0
// Goal: whichever of the two processes is killed or frozen, and when, the other one learns of it in
// time, and no block stays lent.
// Method: a real process for the other side, killed or stopped at an exact piece or question; what
// arrived before is seen in memory that both processes share.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "lease_process.hpp"
#include "lease_workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::Fault;
using testing::FaultKind;
using testing::has_no_leases;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::kLeasedBlocks;
using testing::kLeasedBytes;
using testing::LeaseProcess;
using testing::standard_config;
using testing::Worker;

Duration since(TimePoint begin) { return std::chrono::steady_clock::now() - begin; }

/// This process lends; readers are processes of their own.
class LentTo : public ::testing::Test {
 protected:
  LentTo() {
    EXPECT_THAT(owner_->register_layout(source_), IsOk());
    const auto message = *owner_->export_envelope();
    std::ofstream{directory_.path() + "/message", std::ios::binary}.write(
        reinterpret_cast<const char*>(message.data()),
        static_cast<std::streamsize>(message.size()));
    const int file = open((directory_.path() + "/destination").c_str(), O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(ftruncate(file, kLeasedBytes), 0);
    void* const at = mmap(nullptr, kLeasedBytes, PROT_READ, MAP_SHARED, file, 0);
    arrived_ = {static_cast<const std::byte*>(at), kLeasedBytes};
    close(file);
  }
  ~LentTo() override { munmap(const_cast<std::byte*>(arrived_.data()), arrived_.size()); }

  /// How many bytes the reader has: the source is filled without zeros.
  [[nodiscard]] std::uint64_t bytes_moved() const {
    return static_cast<std::uint64_t>(std::count_if(arrived_.begin(), arrived_.end(),
                                                    [](std::byte b) { return b != std::byte{0}; }));
  }

  static transfer::PhysicalLayoutPtr made_source() {
    const auto made = testing::shared_layout(standard_config(kLeasedBlocks),
                                             layout::Arrangement::kFullyContiguous, 1);
    std::fill_n(made->region_bases()[0], kLeasedBytes, std::byte{7});
    return made;
  }

  testing::TemporaryDirectory directory_;
  testing::LendingEngine engine_;
  transfer::PhysicalLayoutPtr source_ = made_source();
  std::unique_ptr<TransportManager> owner_ =
      testing::make_manager({.worker_id = WorkerId{7},
                             .agent = Worker::make_agent(directory_, "owner", std::nullopt),
                             .leases = engine_.hooks()});
  std::span<const std::byte> arrived_;
};

TEST_F(LentTo, AReaderThatGetsAllOfThem) {
  const LeaseProcess reader{{"reader", directory_.path(), "none", "20000"}};
  EXPECT_EQ(reader.line(), "ready");
  EXPECT_EQ(reader.line(), "good");
  EXPECT_EQ(engine_.next_ended()->error, std::nullopt);
  EXPECT_EQ(bytes_moved(), kLeasedBytes);
}

TEST_F(LentTo, AReaderThatIsKilledInTheMiddle) {
  const LeaseProcess reader{{"reader", directory_.path(), "kill-self@10", "20000"}};
  EXPECT_EQ(reader.line(), "ready");
  EXPECT_EQ(reader.line(), "") << "it should be dead";
  const TimePoint dead = std::chrono::steady_clock::now();
  const auto ended = engine_.next_ended();
  ASSERT_TRUE(ended.has_value());
  ASSERT_TRUE(ended->error.has_value());
  EXPECT_EQ(ended->error->code, ErrorCode::kUnavailable);
  EXPECT_LT(since(dead), 1s);
  EXPECT_GT(bytes_moved(), 0U);
  EXPECT_LT(bytes_moved(), kLeasedBytes);
  EXPECT_TRUE(has_no_leases(*owner_));
}

TEST_F(LentTo, AReaderThatIsFrozenUntilItsDeadline) {
  // One piece never comes, so it is in the middle for as long as it likes.
  const LeaseProcess reader{{"reader", directory_.path(), "drop@10", "1000"}};
  EXPECT_EQ(reader.line(), "ready");
  ASSERT_TRUE(engine_.was_asked(1));
  const TimePoint asked = std::chrono::steady_clock::now();
  while (bytes_moved() == 0 && since(asked) < 30s) {
    std::this_thread::yield();
  }
  reader.signal(SIGSTOP);
  const auto ended = engine_.next_ended();
  ASSERT_TRUE(ended.has_value());
  ASSERT_TRUE(ended->error.has_value());
  EXPECT_EQ(ended->error->code, ErrorCode::kDeadline);
  EXPECT_THAT(ended->error->message, HasSubstr("told nothing"));
  EXPECT_LT(since(asked), 1s + 1s + 3s) << "its deadline, what it may take to tell, and slack";
  EXPECT_GT(bytes_moved(), 0U);
  EXPECT_LT(bytes_moved(), kLeasedBytes);
  reader.signal(SIGCONT);
  EXPECT_THAT(reader.line(), HasSubstr("deadline passed"));
  EXPECT_EQ(engine_.ended_waiting(), 0U) << "what it tells now comes too late";
}

TEST_F(LentTo, AFrozenReaderThatHoldsUpNobodyElse) {
  const LeaseProcess frozen{{"reader", directory_.path(), "drop@10", "20000"}};
  EXPECT_EQ(frozen.line(), "ready");
  ASSERT_TRUE(engine_.was_asked(1));
  frozen.signal(SIGSTOP);
  Worker reader{directory_, 9, "decode-9"};
  const auto handles = reader.manager->import_metadata(*owner_->export_envelope());
  ASSERT_THAT(handles, IsOk());
  const auto layout =
      testing::shared_layout(standard_config(4), layout::Arrangement::kFullyContiguous, 3);
  const LayoutHandle mine = *reader.manager->register_layout(layout);
  transfer::TransferOptions options;
  options.hold_source = true;
  const TimePoint begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 100; ++round) {
    const auto transfer = reader.manager->execute_transfer(handles->front(), block_ids({1}), mine,
                                                           block_ids({2}), options);
    ASSERT_THAT(transfer, IsOk());
    EXPECT_TRUE(transfer->wait().ok());
    EXPECT_EQ(engine_.next_ended()->error, std::nullopt);
  }
  EXPECT_LT(since(begin), 3s);
  EXPECT_TRUE(testing::has_leases(*owner_, 1)) << "that of the frozen one";
}

/// This process reads; owners are processes of their own.
class LentBy : public ::testing::Test {
 protected:
  void start(const std::string& how, const std::optional<Fault>& fault = std::nullopt) {
    owner_ =
        std::make_unique<LeaseProcess>(std::vector<std::string>{"owner", directory_.path(), how});
    ASSERT_EQ(owner_->line(), "ready");
    reader_ = std::make_unique<Worker>(directory_, 8, "decode-8", fault);
    mine_ = *reader_->manager->register_layout(destination_);
    std::ifstream file{directory_.path() + "/message", std::ios::binary};
    const std::string message{std::istreambuf_iterator<char>{file}, {}};
    const auto handles = reader_->manager->import_metadata(std::as_bytes(std::span{message}));
    ASSERT_THAT(handles, IsOk());
    theirs_ = handles->front();
  }
  Result<transfer::Transfer> pull(Duration deadline) {
    const auto blocks = testing::ids_from(0, kLeasedBlocks);
    transfer::TransferOptions options;
    options.deadline = deadline;
    options.hold_source = true;
    return reader_->manager->execute_transfer(theirs_, blocks, mine_, blocks, options);
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<LeaseProcess> owner_;
  transfer::PhysicalLayoutPtr destination_ = testing::shared_layout(
      standard_config(kLeasedBlocks), layout::Arrangement::kFullyContiguous, 77);
  std::unique_ptr<Worker> reader_;
  LayoutHandle mine_;
  LayoutHandle theirs_;
};

TEST_F(LentBy, AnOwnerThatIsKilledInTheMiddle) {
  start("grant", Fault{FaultKind::kKillOwner, 10});
  const auto transfer = pull(20s);
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.error.has_value());
  EXPECT_EQ(report.error->code, ErrorCode::kUnavailable);
  EXPECT_LT(report.bytes_moved, kLeasedBytes);
  EXPECT_TRUE(report.quiet);
}

TEST_F(LentBy, AnOwnerThatIsKilledWhenAsked) {
  start("die");
  const TimePoint begin = std::chrono::steady_clock::now();
  EXPECT_THAT(pull(20s), FailsWith(ErrorCode::kUnavailable, "owner"));
  EXPECT_LT(since(begin), 5s);
}

TEST_F(LentBy, AnOwnerThatIsFrozenWhenAsked) {
  start("stop");
  const TimePoint begin = std::chrono::steady_clock::now();
  EXPECT_THAT(pull(500ms), FailsWith(ErrorCode::kDeadline, "owner"));
  EXPECT_LT(since(begin), 500ms + 2s);
  EXPECT_THAT(pull(500ms), FailsWith(ErrorCode::kDeadline, "owner"));
  reader_->manager.reset();
  EXPECT_LT(since(begin), 1s + 5s) << "the end waits for no frozen owner";
}

}  // namespace
}  // namespace kvferry::manager
