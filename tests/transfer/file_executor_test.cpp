// SPDX-License-Identifier: Apache-2.0
// Goal: pieces go to a disk as few and long as they lie there, and what fails is told by name.
// Method: posts against real files, one of which is cut; the rest is the executors' conformance
//         suite.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>

#include "guarded_cache.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

using testing::FailsWith;
using testing::GuardedCache;
using testing::IsOk;

class FileExecutorTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<const Executor> reader() const {
    return executor(disk::Direction::kRead);
  }
  [[nodiscard]] std::unique_ptr<const Executor> executor(disk::Direction direction) const {
    return make_file_executor({*disk::Queue::open({}, {}),
                               direction,
                               file_,
                               {memory_.physical()->region_bases()[0]},
                               memory_.physical()});
  }
  static Result<void> move(const Executor& executor, const kvferry::Run& run) {
    const auto posted = executor.post({{&run, 1}});
    EXPECT_THAT(posted, IsOk());
    if (!posted->has_value()) {
      return {};
    }
    auto state = executor.poll(**posted);
    while (state && *state == agent::RequestState::kPending) {
      std::this_thread::yield();
      state = executor.poll(**posted);
    }
    executor.release(**posted);
    return state ? Result<void>{} : Result<void>{std::move(state).error()};
  }

  testing::TemporaryDirectory directory_;
  layout::LayoutConfig config_ = testing::llama_config(2);
  GuardedCache memory_{config_, layout::Arrangement::kFullyContiguous, 1};
  PhysicalLayoutPtr file_ = *PhysicalLayout::fully_contiguous(config_)
                                 .allocate_disk({.path = directory_.path() + "/blocks"})
                                 .build();
};

TEST_F(FileExecutorTest, MovesPiecesLongerThanOneReadIs) {
  const std::uint64_t bytes = file_->regions()[0].size_bytes;
  ASSERT_GT(bytes, std::uint64_t{3} << 20U);
  ASSERT_THAT(move(*reader(), {{0, 0, 0}, {0, 0, 0}, bytes, 1}), IsOk());
  const std::byte* const base = memory_.physical()->region_bases()[0];
  EXPECT_TRUE(std::all_of(base, base + bytes, [](std::byte b) { return b == std::byte{}; }));
}

TEST_F(FileExecutorTest, SaysWhatFailedAndWhere) {
  ASSERT_EQ(::truncate(file_->files()[0]->path().c_str(), 10'000), 0);
  EXPECT_THAT(move(*reader(), {{0, 8192, 0}, {0, 0, 0}, 4096, 1}),
              FailsWith(ErrorCode::kUnavailable, "bytes at 10000: the file ends before it"));
}

TEST_F(FileExecutorTest, HasReadWhenItReturnsWhatLiesInThePageCache) {
  const std::vector<std::byte> bytes(10'000, std::byte{7});
  ASSERT_EQ(::pwrite(file_->files()[0]->descriptor(), bytes.data(), bytes.size(), 1), 10'000);
  const kvferry::Run run{{0, 1, 0}, {0, 100, 0}, bytes.size(), 1};  // At 1: never direct.
  const auto posted = reader()->post({{&run, 1}});
  ASSERT_THAT(posted, IsOk());
  EXPECT_FALSE(posted->has_value()) << "a request, though nothing was left to do";
  EXPECT_EQ(std::memcmp(memory_.physical()->region_bases()[0] + 100, bytes.data(), bytes.size()),
            0);
}

TEST_F(FileExecutorTest, TellsWhoWaits) {
  class Flag final : public Waker {
   public:
    void wake() noexcept override { told = true; }
    std::atomic<bool> told{false};
  };
  const auto flag = std::make_shared<Flag>();
  const auto executor = this->executor(disk::Direction::kWrite);
  const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 4096, 1};
  const auto posted = executor->post({{&run, 1}, 0, flag});
  ASSERT_THAT(posted, IsOk());
  EXPECT_TRUE(executor->wakes(**posted));
  while (!flag->told) {
    std::this_thread::yield();
  }
  EXPECT_EQ(*executor->poll(**posted), agent::RequestState::kDone);
  executor->release(**posted);
}

}  // namespace
}  // namespace kvferry::transfer
