// SPDX-License-Identifier: Apache-2.0
// Goal: a request ends when all of its bytes have moved, or with the reason why not; nothing moves
//       afterwards; what the kernel does by halves, twice or never neither loses nor invents bytes.
// Method: both backends with faults from seeds in between; requests over random pieces are compared
//         with a plain copy of the file.
#include "disk/queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "faulty_backend.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::IoFaults;
using testing::IsOk;
using Make = Result<std::unique_ptr<Backend>> (*)(std::size_t depth);

constexpr std::size_t kDepth = 6;
constexpr std::uint64_t kBytes = 2 << 20U;

/// Counts how often it was told.
class Counter final : public Waker {
 public:
  void wake() noexcept override { ++count_; }
  [[nodiscard]] int count() const noexcept { return count_; }

 private:
  std::atomic<int> count_{0};
};

class DiskQueue : public ::testing::TestWithParam<Make> {
 protected:
  void start(const IoFaults& faults = {}, std::size_t depth = kDepth) {
    auto inner = GetParam()(depth);
    ASSERT_THAT(inner, IsOk());
    auto queue =
        Queue::create(std::make_unique<testing::FaultyBackend>(*std::move(inner), faults), depth);
    ASSERT_THAT(queue, IsOk());
    queue_ = *std::move(queue);
  }
  [[nodiscard]] Result<bool> ends(RequestNumber number) const {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!queue_->quiet(number) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return queue_->poll(number);
  }
  [[nodiscard]] Piece piece(std::uint64_t offset, std::vector<std::byte>& memory) const {
    return {file_.get(), offset, memory.data(), memory.size()};
  }

  testing::TemporaryDirectory directory_;
  FilePtr file_ = *File::open({directory_.path() + "/blocks"}, kBytes);
  std::shared_ptr<Queue> queue_;
};

INSTANTIATE_TEST_SUITE_P(All, DiskQueue,
                         ::testing::Values(&make_uring_backend, &make_thread_backend));

/// Random bytes at random places, some of them aligned so that they go past the page cache.
struct Scene {
  explicit Scene(std::uint64_t seed) : random{seed}, memory(kBytes + 4096) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    aligned = memory.data() + (4096 - address % 4096) % 4096;
    for (std::uint64_t i = 0; i < kBytes; ++i) {
      aligned[i] = static_cast<std::byte>(random());
    }
  }
  /// All of the file, cut into pieces in any order.
  std::vector<Piece> pieces(const FilePtr& file) {
    std::vector<Piece> cut;
    for (std::uint64_t at = 0; at < kBytes;) {
      const bool whole_pages = random() % 2 == 0;
      const std::uint64_t bytes =
          std::min(kBytes - at, whole_pages ? 4096 * (1 + random() % 16) : 1 + random() % 70'000);
      cut.push_back({file.get(), at, aligned + at, bytes});
      at += bytes;
    }
    std::shuffle(cut.begin(), cut.end(), random);
    return cut;
  }

  std::mt19937_64 random;
  std::vector<std::byte> memory;
  std::byte* aligned{nullptr};
};

TEST_P(DiskQueue, MovesEveryByteWhateverTheKernelDoesByHalves) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    start({.seed = seed, .shortened = 300, .again = 100, .doubled = 200});
    Scene written{seed};
    EXPECT_THAT(ends(queue_->post({Direction::kWrite, written.pieces(file_)})),
                ::testing::AllOf(IsOk()));
    std::vector<std::byte> content(kBytes);
    ASSERT_EQ(::pread(file_->descriptor(), content.data(), kBytes, 0),
              static_cast<ssize_t>(kBytes));
    ASSERT_EQ(std::memcmp(content.data(), written.aligned, kBytes), 0);
    Scene read{seed + 1000};
    EXPECT_THAT(ends(queue_->post({Direction::kRead, read.pieces(file_)})), IsOk());
    ASSERT_EQ(std::memcmp(read.aligned, written.aligned, kBytes), 0);
  }
}

TEST_P(DiskQueue, TellsItsWakerWhenItHasEnded) {
  start();
  std::vector<std::byte> memory(5000, std::byte{7});
  const auto counter = std::make_shared<Counter>();
  const RequestNumber number =
      queue_->post({Direction::kWrite, {piece(0, memory), piece(5000, memory)}, counter});
  EXPECT_THAT(ends(number), IsOk());
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (counter->count() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(counter->count(), 1);
  EXPECT_EQ(*queue_->poll(number), true);
  queue_->release(number);
  EXPECT_TRUE(queue_->quiet(number));
}

TEST_P(DiskQueue, OfNothingHasEnded) {
  start();
  EXPECT_EQ(*queue_->poll(queue_->post({Direction::kRead, {}})), true);
}

TEST_P(DiskQueue, NamesWhatFailedAndStartsNoMoreOfIt) {
  for (const auto& [error, code, text] :
       {std::tuple{EIO, ErrorCode::kUnavailable, "Input/output error"},
        std::tuple{ENOSPC, ErrorCode::kBusy, "no room on the disk"},
        std::tuple{EDQUOT, ErrorCode::kBusy, "no room on the disk"}}) {
    start({.fails = 5, .error = error}, 1);
    std::vector<std::byte> memory(1000, std::byte{9});
    std::vector<Piece> pieces;
    for (std::uint64_t i = 0; i < 10; ++i) {
      pieces.push_back(piece(i * 1000, memory));
    }
    const auto ended = ends(queue_->post({Direction::kWrite, pieces}));
    EXPECT_THAT(ended, FailsWith(code, text));
    EXPECT_THAT(ended, FailsWith(code, "write of 1000 bytes at 4000"));
  }
  std::vector<std::byte> content(10'000);
  ASSERT_EQ(::pread(file_->descriptor(), content.data(), content.size(), 0), 10'000);
  EXPECT_EQ(std::ranges::count(content, std::byte{9}), 4000) << "none behind the one that failed";
}

TEST_P(DiskQueue, AFileThatWasCutIsToldNotReadAsSomethingElse) {
  start();
  ASSERT_EQ(::truncate(file_->path().c_str(), 1 << 20U), 0);
  std::vector<std::byte> memory(8192);
  EXPECT_THAT(ends(queue_->post({Direction::kRead, {piece((1 << 20U) - 4096, memory)}})),
              FailsWith(ErrorCode::kUnavailable, "read of 4096 bytes at 1048576: the file ends"));
}

TEST_P(DiskQueue, CancelStartsNoMore) {
  start({}, 1);
  std::vector<std::byte> memory(kBytes, std::byte{3});
  std::vector<Piece> pieces;
  for (std::uint64_t at = 0; at < kBytes; at += 4096) {
    pieces.push_back({file_.get(), at, memory.data() + at, 4096});
  }
  const RequestNumber number = queue_->post({Direction::kWrite, pieces});
  queue_->cancel(number);
  EXPECT_THAT(ends(number), FailsWith(ErrorCode::kCancelled, ""));
  queue_->release(number);
  std::vector<std::byte> content(kBytes);
  ASSERT_EQ(::pread(file_->descriptor(), content.data(), kBytes, 0), static_cast<ssize_t>(kBytes));
  const auto written = std::ranges::count(content, std::byte{3});
  EXPECT_LT(written, static_cast<std::int64_t>(kBytes));
  std::this_thread::sleep_for(1s);  // tidy-allow(banned-call): looks again a second later
  std::vector<std::byte> later(kBytes);
  ASSERT_EQ(::pread(file_->descriptor(), later.data(), kBytes, 0), static_cast<ssize_t>(kBytes));
  EXPECT_EQ(content, later) << "nothing moves afterwards";
}

TEST_P(DiskQueue, OneWhoseEndIsLostIsNeverQuietAndHoldsUpNobodyElse) {
  // As a transfer in quarantine does: whoever waits for it keeps the queue, with what it uses.
  struct Used {
    std::shared_ptr<Queue> queue;
    FilePtr file;
    std::vector<std::byte> memory = std::vector<std::byte>(1000);
  };
  static auto* const kept = new std::vector<std::shared_ptr<Used>>;
  start({.lost = 1});
  const auto used = std::make_shared<Used>(Used{queue_, file_});
  kept->push_back(used);
  const RequestNumber lost = queue_->post({Direction::kRead, {piece(0, used->memory)}});
  std::vector<std::byte> memory(1000);
  const RequestNumber other = queue_->post({Direction::kRead, {piece(0, memory)}});
  EXPECT_THAT(ends(other), IsOk());
  queue_->cancel(lost);
  queue_->release(lost);
  EXPECT_FALSE(queue_->quiet(lost));
  EXPECT_FALSE(*queue_->poll(lost));
}

TEST(DiskQueueReadCached, LeavesWhatIsDirectOrNotCached) {
  /// As if so much of every read were cached.
  class Cached final : public Backend {
   public:
    explicit Cached(std::uint64_t bytes) : bytes_{bytes} {}
    [[nodiscard]] std::string_view name() const noexcept override { return "cached"; }
    [[nodiscard]] std::uint64_t read_cached(const Operation& operation) override {
      return std::min<std::uint64_t>(bytes_, operation.memory.size());
    }
    void submit(std::span<const Operation> /*operations*/) override {}
    [[nodiscard]] std::size_t wait(std::span<Ended> /*ended*/) override {
      const MutexLock lock{mutex_};
      while (!woken_) {
        told_.wait(mutex_);
      }
      return 0;
    }
    void wake() override {
      const MutexLock lock{mutex_};
      woken_ = true;
      told_.notify_all();
    }

   private:
    std::uint64_t bytes_;
    Mutex mutex_;
    CondVar told_;
    bool woken_ KVFERRY_GUARDED_BY(mutex_){false};
  };
  const testing::TemporaryDirectory directory;
  const FilePtr file = *File::open({directory.path() + "/blocks", Direct::kNever}, kBytes);
  const auto queue = *Queue::create(std::make_unique<Cached>(100), kDepth);
  std::vector<std::byte> memory(1000);
  std::vector<Piece> pieces{{file.get(), 0, memory.data(), 80},
                            {file.get(), 500, memory.data() + 80, 130},
                            {file.get(), 700, memory.data() + 300, 50}};
  queue->read_cached(pieces);
  ASSERT_EQ(pieces.size(), 2U) << "the first is read, the second in part, the third not tried";
  EXPECT_EQ(pieces[0].offset, 600U);
  EXPECT_EQ(pieces[0].memory, memory.data() + 180);
  EXPECT_EQ(pieces[0].bytes, 30U);
  EXPECT_EQ(pieces[1].bytes, 50U);

  const FilePtr direct = *File::open({directory.path() + "/direct"}, kBytes);
  if (direct->facts().direct_alignment != 0) {
    const auto address = reinterpret_cast<std::uintptr_t>(nullptr) + 4096;
    std::vector<Piece> whole{
        {direct.get(), 0, reinterpret_cast<std::byte*>(address), 4096}};  // NOLINT(*-int-to-ptr)
    queue->read_cached(whole);
    EXPECT_EQ(whole.size(), 1U) << "past the page cache";
    EXPECT_EQ(whole[0].bytes, 4096U);
  }
}

}  // namespace
}  // namespace kvferry::disk
