// SPDX-License-Identifier: Apache-2.0
// Goal: a process is known to live or not, and its memory is read wholly or an error says why not.
// Method: children that end, this process's own memory with holes, and a user who may not look.
#include "agent/peer_process.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <vector>

#include "agent/peers.hpp"
#include "kvferry/testing/matchers.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(PeerProcess, LivesUntilItEnds) {
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe(gate.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(gate[1]);
    char byte = 0;
    _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(gate[0]);
  const auto process = PeerProcess::open(child);
  ASSERT_THAT(process, IsOk());
  EXPECT_EQ((*process)->id(), child);
  EXPECT_TRUE((*process)->is_alive());
  close(gate[1]);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE((*process)->is_known_dead());
  EXPECT_FALSE((*process)->is_alive());
  EXPECT_TRUE((*process)->is_known_dead());
  EXPECT_THAT(PeerProcess::open(child), FailsWith(ErrorCode::kUnavailable, "no process"));
}

TEST(PeerProcess, RefusesAProcessThatCannotBeSeen) {
  EXPECT_THAT(PeerProcess::open(0), FailsWith(ErrorCode::kRefused, "same process namespace"));
}

TEST(PeerProcess, ReadsAsFarAsMemoryGoesAndSaysSo) {
  constexpr std::size_t kPage = 4096;
  auto* const pages = static_cast<std::byte*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(munmap(pages + 2 * kPage, kPage), 0);
  pages[0] = std::byte{1};
  pages[2 * kPage - 1] = std::byte{2};
  std::vector<std::byte> bytes(3 * kPage);
  std::byte* const destination = bytes.data();
  const auto self = PeerProcess::open(getpid());
  ASSERT_THAT(self, IsOk());

  const kvferry::Run all{{0, 0, 100}, {0, 0, 100}, 100, 80};
  ASSERT_THAT((*self)->read({&all, 1}, {&pages, 1}, {&destination, 1}), IsOk());
  const kvferry::Run last{{0, kPage, 0}, {0, kPage, 0}, kPage, 1};
  ASSERT_THAT((*self)->read({&last, 1}, {&pages, 1}, {&destination, 1}), IsOk());
  EXPECT_EQ(bytes[0], std::byte{1});
  EXPECT_EQ(bytes[2 * kPage - 1], std::byte{2});

  // Half of it is there: the kernel answers with fewer bytes first, and then with a fault.
  const kvferry::Run beyond{{0, kPage, 0}, {0, 0, 0}, 2 * kPage, 1};
  EXPECT_THAT((*self)->read({&beyond, 1}, {&pages, 1}, {&destination, 1}),
              FailsWith(ErrorCode::kUnavailable, "cannot read memory of process"));
  const std::vector<kvferry::Run> two{{{0, 0, 0}, {0, 0, 0}, 10, 1},
                                      {{0, 0, kPage}, {0, 0, 9}, 9, 3}};
  EXPECT_THAT((*self)->read(two, {&pages, 1}, {&destination, 1}),
              FailsWith(ErrorCode::kUnavailable, "cannot read memory of process"));
  munmap(pages, 2 * kPage);
}

TEST(PeerProcess, SaysWhatToDoWhenItMayNotRead) {
  // Whoever runs this: root becomes somebody else first, others may not look into process 1.
  const pid_t forbidden = geteuid() == 0 ? getpid() : 1;
  const int outcome = in_child(geteuid() == 0 ? kStranger : 0, [forbidden] {
    std::byte byte{};
    std::byte* const at = &byte;
    const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 1, 1};
    const auto process = PeerProcess::open(forbidden);
    const auto read = (*process)->read({&run, 1}, {&at, 1}, {&at, 1});
    return !read && read.error().code == ErrorCode::kRefused &&
                   read.error().message.find("ptrace_scope") != std::string::npos
               ? 0
               : 1;
  });
  EXPECT_EQ(outcome, 0);
}

}  // namespace
}  // namespace kvferry::agent
