// SPDX-License-Identifier: Apache-2.0
// Goal: the answering thread survives every caller, holds to its limits, and lets nobody else in.
// Method: callers that speak out of turn, too many of them, another user, no descriptors left.
#include "agent/shm_server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <csignal>
#include <filesystem>

#include "agent/peers.hpp"
#include "agent/shm_connection.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

class ShmServerUnder : public ::testing::Test {
 protected:
  ShmServerUnder() {
    ShmServer::Options options;
    options.socket_path = directory_.path() + "/s";
    options.instance.fill(std::byte{4});
    options.limits.connection_count = 3;
    options.log = [&logged = logged_](LogLevel, std::string_view) { ++logged; };
    blob_.name = "server";
    blob_.socket_path = options.socket_path;
    blob_.instance = options.instance;
    blob_.user = geteuid();
    server_ = *ShmServer::start(std::move(options), registry_);
  }

  [[nodiscard]] UniqueFd call() const { return *connect_to(blob_.socket_path, soon()); }
  [[nodiscard]] Result<std::shared_ptr<ShmConnection>> connection() const {
    return ShmConnection::open(blob_, "caller", soon());
  }
  static void say(const UniqueFd& socket, PacketType type, std::span<const std::byte> body) {
    ASSERT_THAT(send_packet(socket.get(), encode_packet({type, 1, body}), {}, soon()), IsOk());
  }
  [[nodiscard]] std::vector<std::byte> hello() const {
    return encode_hello(Hello{blob_.instance, "caller"});
  }
  static void expect_hung_up(const UniqueFd& socket) {
    EXPECT_THAT(receive_packet(socket.get(), 4096, soon()), FailsWith(ErrorCode::kUnavailable, ""));
  }

  kvferry::testing::TemporaryDirectory directory_;
  std::atomic<int> logged_{0};
  ShmRegistry registry_{10};
  ShmBlob blob_;
  std::unique_ptr<ShmServer> server_;
};

TEST_F(ShmServerUnder, HangsUpOnWhoBreaksTheRules) {
  {
    const UniqueFd no_packet = call();
    ASSERT_THAT(send_packet(no_packet.get(), std::vector<std::byte>(3), {}, soon()), IsOk());
    expect_hung_up(no_packet);
  }
  for (const PacketType type : {PacketType::kAsk, PacketType::kNotify, PacketType::kWelcome}) {
    const UniqueFd no_hello = call();
    say(no_hello, type, encode_ids(std::vector<std::uint64_t>{1}));
    expect_hung_up(no_hello);
  }
  const auto after_hello = [this](PacketType type, std::size_t body) {
    const UniqueFd caller = call();
    say(caller, PacketType::kHello, hello());
    EXPECT_THAT(receive_packet(caller.get(), 4096, soon()), IsOk());
    say(caller, type, std::vector<std::byte>(body));
    expect_hung_up(caller);
  };
  after_hello(PacketType::kHello, 3);
  after_hello(PacketType::kAsk, 0);
  after_hello(PacketType::kAsk, 12);
  after_hello(PacketType::kAsk, 65 * 8);
  after_hello(PacketType::kMemories, 0);
  after_hello(PacketType::kNotify, kNotificationBytesMax + 1);
  EXPECT_GE(logged_, 10);
  EXPECT_THAT(connection(), IsOk()) << "the server is none the worse for it";
}

TEST_F(ShmServerUnder, TellsAnotherLifeApart) {
  blob_.instance.fill(std::byte{5});
  EXPECT_THAT(connection(), FailsWith(ErrorCode::kStale, "another life"));
}

TEST_F(ShmServerUnder, TakesSoManyCallersAndNoMore) {
  {
    const auto one = connection();
    const auto two = connection();
    const auto three = connection();
    ASSERT_THAT(three, IsOk());
    EXPECT_THAT(connection(), FailsWith(ErrorCode::kBusy, "3 callers of 3"));
    EXPECT_THAT((*one)->notify({}, soon()), IsOk());
  }
  Result<std::shared_ptr<ShmConnection>> next = connection();
  for (const TimePoint end = soon(); !next && std::chrono::steady_clock::now() < end;) {
    next = connection();  // The server notices that they hung up in its own time.
  }
  EXPECT_THAT(next, IsOk());
}

TEST_F(ShmServerUnder, TurnsCallersAwayWithoutDescriptorsAndGoesOn) {
  // First a good caller, so that the thread runs; it stays, so that the thread frees no descriptor
  // later. UBSan opens a pipe when it meets a type for the first time: nothing new may happen, nor
  // be expected, while the descriptors are gone.
  const auto good = connection();
  ASSERT_THAT(good, IsOk());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  blob_.socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd caller{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  const UniqueFd next{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next.get()) + 1;  // All numbers below are in use.
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int connected =
      connect(caller.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  fcntl(caller.get(), F_SETFL, O_NONBLOCK);
  const auto answer = receive_packet(caller.get(), 4096, soon());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(connected, 0);
  EXPECT_THAT(answer, FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_THAT(connection(), IsOk());
}

TEST_F(ShmServerUnder, RefusesAnotherUser) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can be two users";
  }
  // As if somebody had opened directory and socket to all.
  ASSERT_EQ(chmod(directory_.path().c_str(), 0777), 0);
  ASSERT_EQ(chmod(blob_.socket_path.c_str(), 0777), 0);
  EXPECT_EQ(in_child(kStranger,
                     [this] {
                       const UniqueFd caller = call();
                       const auto answer = receive_packet(caller.get(), 4096, soon());
                       const auto packet = decode_packet(answer->bytes);
                       return packet->type == PacketType::kError &&
                                      decode_error(packet->body).code == ErrorCode::kRefused
                                  ? 0
                                  : 1;
                     }),
            0);
}

TEST_F(ShmServerUnder, WatchesProcesses) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
  }
  const auto process = PeerProcess::open(child);
  ASSERT_THAT(process, IsOk());
  ASSERT_THAT(server_->watch(*process), IsOk());
  EXPECT_FALSE((*process)->is_known_dead());
  kill(child, SIGKILL);
  const TimePoint end = soon();
  while (!(*process)->is_known_dead() && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_TRUE((*process)->is_known_dead());
  waitpid(child, nullptr, 0);
}

TEST_F(ShmServerUnder, RemovesItsSocket) {
  EXPECT_TRUE(std::filesystem::exists(blob_.socket_path));
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(blob_.socket_path));
  EXPECT_THAT(connection(), FailsWith(ErrorCode::kUnavailable, "cannot reach"));
}

}  // namespace
}  // namespace kvferry::agent
