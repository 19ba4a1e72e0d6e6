// SPDX-License-Identifier: Apache-2.0
// Goal: what is the shared-memory agent's own: its options, forged peers, other users, forks.
// Method: one wrong thing at a time. What every agent promises is in the conformance suite.
#include "kvferry/agent/shm_agent.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "agent/peers.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;

ShmAgentOptions options_in(const std::string& directory, std::string name) {
  ShmAgentOptions options;
  options.name = std::move(name);
  options.socket_directory = directory;
  return options;
}

class ShmAgentIn : public ::testing::Test {
 protected:
  ShmAgentIn()
      : agent_{*ShmAgent::create(options_in(directory_.path(), "one"))},
        other_{*ShmAgent::create(options_in(directory_.path(), "two"))} {}

  Result<PeerId> load(const ShmBlob& blob) {
    return agent_->load_peer(blob.name, encode_blob(blob), soon());
  }

  TemporaryDirectory directory_;
  std::shared_ptr<ShmAgent> agent_;
  std::shared_ptr<ShmAgent> other_;
};

TEST_F(ShmAgentIn, TellsItsFacts) {
  const AgentFacts& facts = agent_->facts();
  EXPECT_EQ(facts.kind, "shm");
  EXPECT_TRUE(facts.reads);
  EXPECT_TRUE(facts.writes);
  EXPECT_FALSE(facts.read_needs_owner_cpu);
  EXPECT_FALSE(facts.cancels);
  EXPECT_FALSE(facts.needs_progress);
  EXPECT_EQ(facts.largest_request_bytes, 0U);
  EXPECT_EQ(facts.storage_kinds, std::vector{StorageKind::Type::kSystem});
}

TEST_F(ShmAgentIn, RefusesNamesPathsAndLimitsThatCannotBe) {
  const auto create = [this](std::string name) {
    return ShmAgent::create(options_in(directory_.path(), std::move(name)));
  };
  EXPECT_THAT(create(""), FailsWith(ErrorCode::kInvalidArgument, "name of 0 bytes"));
  EXPECT_THAT(create(std::string(256, 'n')),
              FailsWith(ErrorCode::kInvalidArgument, "name of 256 bytes, 1 to 255"));
  EXPECT_THAT(create(std::string("a\0b", 3)), FailsWith(ErrorCode::kInvalidArgument, "zero byte"));
  EXPECT_THAT(create(std::string(255, 'n')), IsOk());

  const std::string deep = directory_.path() + "/" + std::string(100, 'd');
  EXPECT_THAT(ShmAgent::create(options_in(deep, "n")),
              FailsWith(ErrorCode::kInvalidArgument, "bytes of 107: "));
  EXPECT_FALSE(std::filesystem::exists(deep)) << "refused, and yet made";

  ShmAgentOptions large = options_in(directory_.path(), "n");
  large.limits.notification_bytes = (std::size_t{128} << 10U) + 1;
  EXPECT_THAT(ShmAgent::create(std::move(large)),
              FailsWith(ErrorCode::kInvalidArgument, "notification_bytes 131073 of 131072"));
}

TEST_F(ShmAgentIn, TakesTheLongestNotificationsThatALimitAllows) {
  ShmAgentOptions large = options_in(directory_.path(), "large");
  large.limits.notification_bytes = std::size_t{128} << 10U;
  const auto sender = ShmAgent::create(large);
  large.name = "receiver";
  const auto receiver = ShmAgent::create(large);
  const auto peer = (*sender)->load_peer("receiver", *(*receiver)->local_metadata(), soon());
  ASSERT_THAT(peer, IsOk());
  const std::vector<std::byte> message(large.limits.notification_bytes, std::byte{3});
  ASSERT_THAT((*sender)->notify(*peer, message, soon()), IsOk());
  EXPECT_EQ((*receiver)->take_notifications().at(0).bytes, message);
  // A receiver that allows less says so; the connection stays.
  const auto small = (*sender)->load_peer("two", *other_->local_metadata(), soon());
  EXPECT_THAT((*sender)->notify(*small, message, soon()),
              FailsWith(ErrorCode::kInvalidArgument, "131072 bytes of 65536"));
  EXPECT_THAT((*sender)->notify(*small, {}, soon()), IsOk());
}

TEST_F(ShmAgentIn, RefusesADirectoryOpenToOthers) {
  ASSERT_EQ(chmod(directory_.path().c_str(), 0777), 0);
  EXPECT_THAT(ShmAgent::create(options_in(directory_.path(), "n")),
              FailsWith(ErrorCode::kRefused, "may be written by others"));
}

TEST_F(ShmAgentIn, RefusesAForgedFileInAnHonestProtocol) {
  // Announced as sealed memory of 8 KiB; what comes is a file that can be cut under the reader.
  const UniqueFd file{memfd_create("kvferry_test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(ftruncate(file.get(), 12'288), 0);
  const ForgedPeer peer{directory_.path() + "/f", [&](int socket, const Packet& question) {
                          const std::vector<int> files{file.get()};
                          const bool asks = question.type == PacketType::kAsk;
                          ForgedPeer::send(
                              socket, asks ? PacketType::kMemories : PacketType::kWelcome,
                              question.sequence, {},
                              asks ? std::span<const int>{files} : std::span<const int>{});
                        }};
  ShmBlob blob = peer.blob();
  blob.memories.push_back(
      {1, 0x10000, 8192, Access::kRead, MemoryKind::kSharedFile, 8192, memory::Nonce{}});
  EXPECT_THAT(load(blob), FailsWith(ErrorCode::kRefused, "\"forged\": memory 1 is not sealed"));
}

TEST_F(ShmAgentIn, KeepsMemoryOfAPeerThatHungUp) {
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  ASSERT_THAT(memory->seal_against_writers(), IsOk());
  const ForgedPeer peer{directory_.path() + "/f", [&](int socket, const Packet& question) {
                          if (question.type == PacketType::kNotify) {
                            shutdown(socket, SHUT_RDWR);
                            return;
                          }
                          const std::vector<int> files{memory->shared_file()->descriptor};
                          const bool asks = question.type == PacketType::kAsk;
                          ForgedPeer::send(
                              socket, asks ? PacketType::kMemories : PacketType::kWelcome,
                              question.sequence, {},
                              asks ? std::span<const int>{files} : std::span<const int>{});
                        }};
  ShmBlob blob = peer.blob();
  blob.memories.push_back({1, 0x10000, 4096, Access::kRead, MemoryKind::kSharedFile, 4096,
                           memory->shared_file()->nonce});
  const auto id = load(blob);
  ASSERT_THAT(id, IsOk());
  const Region theirs{0x10000, 4096};
  const auto remote = agent_->prepare_remote(*id, {&theirs, 1});
  EXPECT_THAT(agent_->notify(*id, {}, soon()), FailsWith(ErrorCode::kUnavailable, "closed"));
  ASSERT_THAT(agent_->update_peer(*id, encode_blob(blob), soon()), IsOk());
  EXPECT_THAT(agent_->notify(*id, {}, soon()), FailsWith(ErrorCode::kUnavailable, "closed"))
      << "a new connection, that is closed, too";
  std::array<std::byte, 10> bytes{};
  const Region here{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
  const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 10, 1};
  EXPECT_THAT(
      agent_->post({Operation::kRead, *agent_->prepare_local({&here, 1}), *remote, {&run, 1}}),
      IsOk());
}

TEST_F(ShmAgentIn, RefusesForgedBlobs) {
  const auto honest = decode_blob(*other_->local_metadata(), 10);
  ASSERT_THAT(honest, IsOk());
  ShmBlob stranger = *honest;
  stranger.user = kStranger;
  EXPECT_THAT(load(stranger), FailsWith(ErrorCode::kRefused, "is of user 65534"));
  ShmBlob another_life = *honest;
  another_life.instance[0] ^= std::byte{1};
  EXPECT_THAT(load(another_life), FailsWith(ErrorCode::kStale, "another life"));
  ShmBlob elsewhere = *honest;
  elsewhere.boot[0] ^= std::byte{1};
  EXPECT_THAT(load(elsewhere), IsOk()) << "the boot id is only a hint";
  elsewhere.name = "nobody";
  elsewhere.socket_path += "x";
  EXPECT_THAT(load(elsewhere), FailsWith(ErrorCode::kUnavailable, "perhaps on another machine"));
  ShmBlob no_such_memory = *honest;
  no_such_memory.name = "two ";
  no_such_memory.memories.push_back(
      {9, 0x10000, 8192, Access::kRead, MemoryKind::kSharedFile, 8192, memory::Nonce{}});
  EXPECT_THAT(load(no_such_memory), FailsWith(ErrorCode::kStale, "memory 9 is no longer"));
}

TEST_F(ShmAgentIn, RefusesMorePeersMemoriesThanItsLimit) {
  ShmAgentOptions options = options_in(directory_.path(), "narrow");
  options.limits.memory_count = 1;
  const auto narrow = ShmAgent::create(std::move(options));
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  ASSERT_THAT(other_->register_memory(memory, Access::kRead), IsOk());
  ASSERT_THAT(other_->register_memory(memory, Access::kRead), IsOk());
  EXPECT_THAT((*narrow)->load_peer("two", *other_->local_metadata(), soon()),
              FailsWith(ErrorCode::kCorrupt, "2 of 1"));
}

TEST_F(ShmAgentIn, ReachesManyMemoriesInParts) {
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  for (int count = 0; count < 150; ++count) {
    ASSERT_THAT(other_->register_memory(memory, Access::kRead), IsOk());
  }
  EXPECT_THAT(agent_->load_peer("two", *other_->local_metadata(), soon()), IsOk());
}

TEST_F(ShmAgentIn, MeasuresDeadlinesByItsClock) {
  auto clock = std::make_shared<kvferry::testing::ManualClock>();
  ShmAgentOptions options = options_in(directory_.path(), "timed");
  options.clock = clock;
  const auto agent = ShmAgent::create(std::move(options));
  const ForgedPeer silent{directory_.path() + "/f", [](int, const Packet&) {}};
  const auto blob = encode_blob(silent.blob());
  clock->advance(std::chrono::hours{1});
  EXPECT_THAT((*agent)->load_peer("forged", blob, clock->now() - std::chrono::seconds{1}),
              FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT((*agent)->load_peer("two", *other_->local_metadata(), TimePoint::max()), IsOk());
}

TEST_F(ShmAgentIn, IsOfNoUseInAForkedChildAndUnharmedByIt) {
  const memory::MemoryPtr memory = *memory::allocate_system(4096);
  ASSERT_THAT(other_->register_memory(memory, Access::kRead), IsOk());
  const auto peer = agent_->load_peer("two", *other_->local_metadata(), soon());
  ASSERT_THAT(peer, IsOk());
  const Region region{reinterpret_cast<std::uintptr_t>(memory->bytes().data()), 4096};
  const auto remote = agent_->prepare_remote(*peer, {&region, 1});
  std::array<std::byte, 10> bytes{};
  const Region here{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
  const auto local = agent_->prepare_local({&here, 1});
  const kvferry::Run run{{0, 0, 0}, {0, 0, 0}, 10, 1};
  EXPECT_EQ(in_child(0,
                     [&] {
                       int answered = 0;
                       const auto refused = [&answered](const auto& result) {
                         answered += result || result.error().code != ErrorCode::kRefused ? 1 : 0;
                       };
                       refused(agent_->register_memory(memory, Access::kRead));
                       refused(agent_->deregister_memory(RegistrationId{1}));
                       refused(agent_->local_metadata());
                       refused(agent_->contact_metadata());
                       refused(agent_->wait(soon()));
                       agent_->wake();
                       refused(agent_->load_peer("two", {}, soon()));
                       refused(agent_->update_peer(*peer, {}, soon()));
                       refused(agent_->forget_peer(*peer));
                       refused(agent_->prepare_local({}));
                       refused(agent_->prepare_remote(*peer, {}));
                       refused(agent_->post({Operation::kRead, *local, *remote, {&run, 1}}));
                       refused(agent_->notify(*peer, {}, soon()));
                       answered += agent_->take_notifications().empty() ? 0 : 1;
                       answered += agent_->liveness(*peer) == Liveness::kDead ? 0 : 1;
                       answered += agent_->process_of(*peer) ? 1 : 0;
                       agent_.reset();
                       other_.reset();
                       return answered;
                     }),
            0);
  EXPECT_THAT(agent_->post({Operation::kRead, *local, *remote, {&run, 1}}), IsOk());
  EXPECT_THAT(agent_->notify(*peer, {}, soon()), IsOk());
  EXPECT_THAT(agent_->update_peer(*peer, *other_->local_metadata(), soon()), IsOk());
  EXPECT_EQ(other_->take_notifications().size(), 1U);
}

TEST(ShmAgent, CannotReachAnotherUsersAgent) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can be two users";
  }
  const TemporaryDirectory directory;
  ASSERT_EQ(chmod(directory.path().c_str(), 0777), 0);
  std::array<int, 2> channel{};
  ASSERT_EQ(pipe(channel.data()), 0);
  // The stranger is forked before there are threads, and told later whom to call.
  const pid_t stranger = fork();
  if (stranger == 0) {
    std::vector<std::byte> blob(4096);
    const ssize_t got = read(channel[0], blob.data(), blob.size());
    if (got <= 0 || setuid(kStranger) != 0) {
      _exit(1);
    }
    blob.resize(static_cast<std::size_t>(got));
    const auto agent = ShmAgent::create(options_in(directory.path() + "/mine", "stranger"));
    const auto loaded =
        agent ? (*agent)->load_peer("roots", blob, soon()) : Result<PeerId>{agent.error()};
    _exit(!loaded && loaded.error().code == ErrorCode::kRefused ? 0 : 2);
  }
  const std::string roots = directory.path() + "/roots";
  const auto agent = ShmAgent::create(options_in(roots, "roots"));
  ASSERT_THAT(agent, IsOk());
  const std::vector<std::byte> blob = *(*agent)->local_metadata();
  ASSERT_EQ(write(channel[1], blob.data(), blob.size()), ssize_t(blob.size()));
  int status = -1;
  waitpid(stranger, &status, 0);
  EXPECT_EQ(status, 0);
  close(channel[0]);
  close(channel[1]);
}

}  // namespace
}  // namespace kvferry::agent
