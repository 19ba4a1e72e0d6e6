// SPDX-License-Identifier: Apache-2.0
// Goal: only private directories are used; packets and descriptors arrive whole; nothing waits past
// its deadline.
// Method: real directories and sockets, with modes, paths, silence and floods that must be refused.
#include "agent/unix_socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>

#include "agent/peers.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;

TEST(PrivateDirectory, IsMadeForTheUserAlone) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/new";
  ASSERT_THAT(make_private_directory(path), IsOk());
  ASSERT_THAT(make_private_directory(path), IsOk());
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
}

TEST(PrivateDirectory, IsRefusedWhenOthersMayWrite) {
  const TemporaryDirectory directory;
  for (const mode_t mode : {0720U, 0702U, 0777U}) {
    ASSERT_EQ(chmod(directory.path().c_str(), mode), 0);
    EXPECT_THAT(make_private_directory(directory.path()),
                FailsWith(ErrorCode::kRefused, "may be written by others"));
  }
  ASSERT_EQ(chmod(directory.path().c_str(), 0755), 0);
  EXPECT_THAT(make_private_directory(directory.path()), IsOk());
}

TEST(PrivateDirectory, IsRefusedWhenItIsAnotherUsers) {
  const TemporaryDirectory directory;
  // Root gives it away; others look at root's.
  const bool is_root = geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(chown(directory.path().c_str(), kStranger, kStranger), 0);
  }
  EXPECT_THAT(make_private_directory(is_root ? directory.path() : "/"),
              FailsWith(ErrorCode::kRefused, "'s, not user "));
}

TEST(PrivateDirectory, IsRefusedWhenItIsNone) {
  const TemporaryDirectory directory;
  EXPECT_THAT(make_private_directory(directory.path() + "/no/such"),
              FailsWith(ErrorCode::kUnavailable, "cannot make directory"));
  std::filesystem::create_directory_symlink(directory.path(), directory.path() + "/link");
  EXPECT_THAT(make_private_directory(directory.path() + "/link"),
              FailsWith(ErrorCode::kUnavailable, "cannot open directory"));
}

/// Makes the file look as if it had been made ten minutes ago.
void age(const std::string& path) {
  std::filesystem::last_write_time(
      path, std::filesystem::file_time_type::clock::now() - std::chrono::minutes{10});
}

TEST(PrivateDirectory, LosesOldSocketsThatNobodyListensAt) {
  const TemporaryDirectory directory;
  const std::string dead = directory.path() + "/dead.sock";
  const std::string young = directory.path() + "/young.sock";
  const std::string live = directory.path() + "/live.sock";
  const std::string file = directory.path() + "/file.sock";
  ASSERT_THAT(listen_at(dead), IsOk());  // Closed again at once, as by a killed process.
  ASSERT_THAT(listen_at(young), IsOk());
  const auto listener = listen_at(live);
  ASSERT_THAT(listener, IsOk());
  { const UniqueFd made{open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)}; }
  for (const std::string& path : {dead, live, file}) {
    age(path);
  }
  remove_dead_sockets(directory.path());
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(young));
  EXPECT_TRUE(std::filesystem::exists(live));
  EXPECT_TRUE(std::filesystem::exists(file));
  remove_dead_sockets(directory.path() + "/no/such");
}

TEST(UnixSocket, RefusesPathsThatTheKernelCannotHold) {
  const TemporaryDirectory directory;
  std::string path = directory.path() + "/";
  path.resize(107, 'x');
  EXPECT_THAT(listen_at(path), IsOk());
  path += 'x';
  EXPECT_THAT(listen_at(path), FailsWith(ErrorCode::kInvalidArgument, "108 bytes of 107"));
  EXPECT_THAT(connect_to(path, soon()), FailsWith(ErrorCode::kInvalidArgument, "108 bytes of 107"));
}

TEST(UnixSocket, SaysThatNobodyListens) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/s";
  EXPECT_THAT(connect_to(path, soon()), FailsWith(ErrorCode::kUnavailable, "cannot reach"));
  { const auto ended = listen_at(path); }
  EXPECT_THAT(connect_to(path, soon()), FailsWith(ErrorCode::kUnavailable, "cannot reach"));
  EXPECT_THAT(listen_at(path), FailsWith(ErrorCode::kUnavailable, "cannot listen"));
}

class UnixSocketPair : public ::testing::Test {
 protected:
  UnixSocketPair() : listener_{*listen_at(directory_.path() + "/s")} {
    caller_ = *connect_to(directory_.path() + "/s", soon());
    answerer_ = UniqueFd{accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  }
  static std::vector<std::byte> packet(std::size_t size) {
    return std::vector<std::byte>(size, std::byte{7});
  }

  TemporaryDirectory directory_;
  UniqueFd listener_;
  UniqueFd caller_;
  UniqueFd answerer_;
};

TEST_F(UnixSocketPair, KnowWhoTheOtherIs) {
  const auto who = credentials_of(caller_.get());
  ASSERT_THAT(who, IsOk());
  EXPECT_EQ(who->process, getpid());
  EXPECT_EQ(who->user, geteuid());
}

TEST_F(UnixSocketPair, PassPacketsAndDescriptors) {
  const UniqueFd null{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const std::vector<int> files(kDescriptorsPerPacketMax, null.get());
  ASSERT_THAT(send_packet(caller_.get(), packet(3), files, soon()), IsOk());
  ASSERT_THAT(send_packet(caller_.get(), packet(100), {}, soon()), IsOk());
  const auto first = receive_packet(answerer_.get(), 100, soon());
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->bytes, packet(3));
  ASSERT_EQ(first->descriptors.size(), files.size());
  EXPECT_EQ(fcntl(first->descriptors.back().get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(receive_packet(answerer_.get(), 100, soon())->bytes, packet(100));
}

TEST_F(UnixSocketPair, RefusePacketsThatAreTooLong) {
  ASSERT_THAT(send_packet(caller_.get(), packet(101), {}, soon()), IsOk());
  EXPECT_THAT(receive_packet(answerer_.get(), 100, soon()),
              FailsWith(ErrorCode::kCorrupt, "longer than 100"));
}

TEST_F(UnixSocketPair, WaitNoLongerThanTheirDeadline) {
  EXPECT_THAT(receive_packet(caller_.get(), 10, shortly()), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT(receive_packet(caller_.get(), 10, TimePoint{}), FailsWith(ErrorCode::kDeadline, ""));
  Result<void> sent;
  for (int count = 0; sent && count < 10'000; ++count) {
    sent = send_packet(caller_.get(), packet(4096), {}, shortly());
  }
  EXPECT_THAT(sent, FailsWith(ErrorCode::kDeadline, "sending")) << "nobody takes them";
}

TEST_F(UnixSocketPair, NoticeThatTheOtherIsGone) {
  answerer_ = UniqueFd{};
  EXPECT_THAT(receive_packet(caller_.get(), 10, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(send_packet(caller_.get(), packet(1), {}, soon()),
              FailsWith(ErrorCode::kUnavailable, ""));
}

TEST_F(UnixSocketPair, ConnectWaitsNoLongerThanItsDeadline) {
  std::vector<UniqueFd> callers;  // Nobody accepts them; at some point there is no more room.
  Result<UniqueFd> one{UniqueFd{}};
  for (int count = 0; count < 10'000; ++count) {
    one = connect_to(directory_.path() + "/s", shortly());
    if (!one) {
      break;
    }
    callers.push_back(*std::move(one));
  }
  EXPECT_THAT(one, FailsWith(ErrorCode::kDeadline, "reaching"));
}

}  // namespace
}  // namespace kvferry::agent
