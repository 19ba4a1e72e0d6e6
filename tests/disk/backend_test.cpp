// SPDX-License-Identifier: Apache-2.0
// Goal: every backend reads and writes what it is told, tells each end once, and says how it was.
// Method: the same suite for io_uring and for threads, on a real file.

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "disk/backend.hpp"
#include "kvferry/disk/file.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::disk {
namespace {

using Make = Result<std::unique_ptr<Backend>> (*)(std::size_t depth);

constexpr std::size_t kDepth = 8;
constexpr std::uint64_t kBytes = 1 << 20U;

class EveryBackend : public ::testing::TestWithParam<Make> {
 protected:
  void SetUp() override {
    auto backend = GetParam()(kDepth);
    ASSERT_THAT(backend, testing::IsOk());
    backend_ = *std::move(backend);
  }
  [[nodiscard]] std::vector<Ended> wait_for(std::size_t count) {
    std::vector<Ended> all;
    std::array<Ended, 3> some;
    while (all.size() < count) {
      const std::size_t got = backend_->wait(some);
      all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(got));
    }
    return all;
  }

  testing::TemporaryDirectory directory_;
  FilePtr file_ = *File::open({directory_.path() + "/blocks"}, kBytes);
  std::unique_ptr<Backend> backend_;
};

INSTANTIATE_TEST_SUITE_P(All, EveryBackend,
                         ::testing::Values(&make_uring_backend, &make_thread_backend));

TEST_P(EveryBackend, WritesAndReadsManyAtATime) {
  std::vector<std::vector<std::byte>> pieces;
  std::vector<Operation> writes;
  std::vector<Operation> reads;
  std::vector<std::vector<std::byte>> back(kDepth, std::vector<std::byte>(1000));
  for (std::size_t i = 0; i < kDepth; ++i) {
    pieces.emplace_back(1000, static_cast<std::byte>(i + 1));
  }
  for (std::size_t i = 0; i < kDepth; ++i) {
    writes.push_back({Direction::kWrite, file_->descriptor(), i * 1000, pieces[i], i});
    reads.push_back({Direction::kRead, file_->descriptor(), i * 1000, back[i], 100 + i});
  }
  for (const auto& operations : {writes, reads}) {
    backend_->submit(operations);
    std::set<std::uint64_t> tags;
    for (const Ended& ended : wait_for(kDepth)) {
      EXPECT_EQ(ended.result, 1000);
      EXPECT_TRUE(tags.insert(ended.tag).second) << "told twice";
    }
    EXPECT_EQ(tags.size(), kDepth);
    EXPECT_EQ(*tags.begin(), operations.front().tag);
  }
  EXPECT_EQ(back, pieces);
}

TEST_P(EveryBackend, TellsWhatTheKernelAnswers) {
  std::vector<std::byte> memory(4096);
  const std::vector<Operation> operations{
      {Direction::kRead, file_->descriptor(), kBytes, memory, 1},
      {Direction::kRead, file_->descriptor(), kBytes - 96, memory, 2},
      {Direction::kRead, -1, 0, memory, 3}};
  backend_->submit(operations);
  for (const Ended& ended : wait_for(3)) {
    EXPECT_EQ(ended.result, ended.tag == 1 ? 0 : ended.tag == 2 ? 96 : -EBADF);
  }
}

TEST_P(EveryBackend, IsWokenOnceForEachOrSeveralWakes) {
  std::array<Ended, 1> none{};
  backend_->wake();
  EXPECT_EQ(backend_->wait(none), 0U) << "before";
  std::thread waker{[this] { backend_->wake(); }};
  EXPECT_EQ(backend_->wait(none), 0U) << "while it waits, or before";
  waker.join();
}

TEST_P(EveryBackend, TakesOperationsWhileSomebodyWaits) {
  std::vector<std::byte> memory(kDepth * 512, std::byte{4});
  std::thread submitter{[&] {
    for (std::size_t i = 0; i < kDepth; ++i) {
      const Operation write{Direction::kWrite, file_->descriptor(), i * 512,
                            std::span{memory}.subspan(i * 512, 512), i};
      backend_->submit({&write, 1});
    }
  }};
  std::set<std::uint64_t> tags;
  for (const Ended& ended : wait_for(kDepth)) {
    EXPECT_EQ(ended.result, 512);
    EXPECT_TRUE(tags.insert(ended.tag).second) << "told twice";
  }
  submitter.join();
  std::vector<std::byte> content(memory.size());
  EXPECT_EQ(backend_->read_cached({Direction::kRead, file_->descriptor(), 0, content}),
            content.size());
  EXPECT_EQ(content, memory);
}

}  // namespace
}  // namespace kvferry::disk
