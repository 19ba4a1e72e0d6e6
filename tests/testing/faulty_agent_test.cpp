// SPDX-License-Identifier: Apache-2.0
// Goal: each fault strikes at exactly the piece it names, does what it says, and no more.
// Method: a transfer of ten pieces in uneven requests, whose destination tells which pieces came;
// faults that hit processes hit children of this one.
#include "kvferry/testing/faulty_agent.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::testing {
namespace {

using agent::Operation;
using agent::RequestId;
using agent::RequestState;

constexpr std::uint64_t kPieces = 10;
constexpr std::uint64_t kBytes = kPieces * kFaultPieceBytes;

TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{30}; }

std::byte byte_at(std::uint64_t offset) {
  return static_cast<std::byte>(1 + (offset / kFaultPieceBytes) + (offset % 7) * 16);
}

std::shared_ptr<agent::ShmAgent> shm_agent(const std::string& directory, std::string name) {
  agent::ShmAgentOptions options;
  options.name = std::move(name);
  options.socket_directory = directory;
  return *agent::ShmAgent::create(std::move(options));
}

/// What peers need to pull from, or push to, kBytes of an owner.
struct Source {
  memory::MemoryPtr memory;
  std::vector<std::byte> metadata;
  std::uint64_t address{0};
};

Source offer(agent::Agent& owner) {
  Source source{*memory::allocate_system(kBytes), {}, 0};
  std::uint64_t offset = 0;
  for (std::byte& byte : source.memory->bytes()) {
    byte = byte_at(offset++);
  }
  EXPECT_THAT(owner.register_memory(source.memory, Access::kReadWrite), IsOk());
  source.metadata = *owner.local_metadata();
  source.address = reinterpret_cast<std::uintptr_t>(source.memory->bytes().data());
  return source;
}

/// A transfer of kBytes in three requests, none of which ends where a piece does.
class Pull {
 public:
  Pull(FaultyAgent& puller, const Source& source, std::span<std::byte> destination,
       Operation operation = Operation::kRead)
      : puller_{puller}, operation_{operation} {
    peer = *puller.load_peer("owner", source.metadata, soon());
    const Region theirs{source.address, kBytes};
    const Region ours{reinterpret_cast<std::uintptr_t>(destination.data()), kBytes};
    remote_ = *puller.prepare_remote(peer, {&theirs, 1});
    local_ = *puller.prepare_local({&ours, 1});
  }

  /// Posts all requests up to the first that fails; keeps the id of one that does not end.
  Result<void> run() {
    constexpr std::array<std::uint64_t, 4> kEnds{0, 150'000, 401'111, kBytes};
    for (std::size_t index = 0; index + 1 < kEnds.size(); ++index) {
      const std::uint64_t first = kEnds[index];
      const std::uint64_t size = kEnds[index + 1] - first;
      // Cut into pieces of their own, so that faults strike inside runs, too.
      const std::array<Run, 2> runs{Run{{0, first, 1000}, {0, first, 1000}, 1000, size / 1000},
                                    Run{{0, first + size / 1000 * 1000, 0},
                                        {0, first + size / 1000 * 1000, 0},
                                        size % 1000,
                                        1}};
      auto posted = puller_.post({operation_, local_, remote_, runs});
      if (!posted) {
        return std::move(posted).error();
      }
      if (*posted) {
        pending = **posted;
      }
    }
    return {};
  }

  agent::PeerId peer;
  std::optional<RequestId> pending;

 private:
  FaultyAgent& puller_;
  Operation operation_;
  agent::PreparedSidePtr local_;
  agent::PreparedSidePtr remote_;
};

/// Which pieces of a destination are wholly right, as "1101".
std::string pieces_of(std::span<const std::byte> bytes) {
  std::string pieces;
  for (std::uint64_t piece = 0; piece < kPieces; ++piece) {
    bool right = true;
    for (std::uint64_t at = piece * kFaultPieceBytes; at < (piece + 1) * kFaultPieceBytes; ++at) {
      right = right && bytes[at] == byte_at(at);
    }
    pieces += right ? '1' : '0';
  }
  return pieces;
}

/// Without agents at first: a test that forks does so before there are threads.
class FaultyAgentWithProcess : public ::testing::Test {
 protected:
  void use(std::string_view spec) {
    puller =
        std::make_unique<FaultyAgent>(shm_agent(directory.path(), "puller"), *parse_fault(spec));
  }
  void expect_report(std::uint64_t piece) const {
    const FaultReport report = puller->report();
    EXPECT_TRUE(report.struck);
    EXPECT_EQ(report.fault_at, piece);
    EXPECT_EQ(report.bytes_moved, piece * kFaultPieceBytes);
  }

  TemporaryDirectory directory;
  std::unique_ptr<FaultyAgent> puller;
  std::vector<std::byte> bytes = std::vector<std::byte>(kBytes);
};

class FaultyAgentWith : public FaultyAgentWithProcess {
 protected:
  std::shared_ptr<agent::ShmAgent> owner{shm_agent(directory.path(), "owner")};
};

TEST_F(FaultyAgentWith, NoFaultMovesEverything) {
  puller = std::make_unique<FaultyAgent>(shm_agent(directory.path(), "puller"));
  Pull pull{*puller, offer(*owner), bytes};
  EXPECT_THAT(pull.run(), IsOk());
  EXPECT_EQ(pieces_of(bytes), "1111111111");
  EXPECT_FALSE(puller->report().struck);
}

TEST_F(FaultyAgentWith, AFaultBeyondTheEndNeverStrikes) {
  use("fail@10");
  Pull pull{*puller, offer(*owner), bytes};
  EXPECT_THAT(pull.run(), IsOk());
  EXPECT_EQ(pieces_of(bytes), "1111111111");
  EXPECT_FALSE(puller->report().struck);
  EXPECT_EQ(puller->report().bytes_moved, kBytes);
}

TEST_F(FaultyAgentWith, FailEndsTheRequestAtItsPiece) {
  for (const std::uint64_t piece : {0U, 1U, 3U, 9U}) {
    use("fail@" + std::to_string(piece));
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
    Pull pull{*puller, offer(*owner), bytes};
    EXPECT_THAT(pull.run(), FailsWith(ErrorCode::kUnavailable, "piece " + std::to_string(piece)));
    EXPECT_EQ(pieces_of(bytes), std::string(piece, '1') + std::string(kPieces - piece, '0'));
    EXPECT_EQ(bytes[piece * kFaultPieceBytes], std::byte{0}) << "one byte too many";
    expect_report(piece);
  }
}

TEST_F(FaultyAgentWith, DropNeverMovesThePieceAndNeverEnds) {
  use("drop@3");
  Pull pull{*puller, offer(*owner), bytes};
  ASSERT_THAT(pull.run(), IsOk());
  EXPECT_EQ(pieces_of(bytes), "1110111111");
  ASSERT_TRUE(pull.pending);
  EXPECT_EQ(*puller->poll(*pull.pending), RequestState::kPending);
  EXPECT_FALSE(puller->quiet(*pull.pending));
  puller->release(*pull.pending);
  EXPECT_FALSE(puller->quiet(*pull.pending)) << "what is not quiet is not released";
  puller->cancel(*pull.pending);
  EXPECT_TRUE(puller->quiet(*pull.pending));
  EXPECT_THAT(puller->poll(*pull.pending), FailsWith(ErrorCode::kCancelled, ""));
  puller->release(*pull.pending);
  EXPECT_THAT(puller->poll(*pull.pending), FailsWith(ErrorCode::kInvalidArgument, "not known"));
  expect_report(3);
}

TEST_F(FaultyAgentWith, DelayMovesThePieceLaterWhateverIsAsked) {
  use("delay@3:200ms");
  Pull pull{*puller, offer(*owner), bytes};
  const TimePoint start = std::chrono::steady_clock::now();
  ASSERT_THAT(pull.run(), IsOk());
  ASSERT_TRUE(pull.pending);
  puller->cancel(*pull.pending);
  const bool was_quiet = puller->quiet(*pull.pending);
  const bool in_time = std::chrono::steady_clock::now() - start < std::chrono::milliseconds{200};
  EXPECT_TRUE(!was_quiet || !in_time) << "cancel stopped it";
  const TimePoint end = soon();
  while (!puller->quiet(*pull.pending) && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds{200});
  EXPECT_EQ(*puller->poll(*pull.pending), RequestState::kDone);
  EXPECT_EQ(pieces_of(bytes), "1111111111");
  expect_report(3);
}

TEST_F(FaultyAgentWith, DelayNeverMovesThePieceOnceTheAgentIsGone) {
  use("delay@3:3600s");
  {
    Pull pull{*puller, offer(*owner), bytes};
    ASSERT_THAT(pull.run(), IsOk());
  }
  puller.reset();  // Does not wait an hour.
  EXPECT_EQ(pieces_of(bytes), "1110111111");
}

TEST_F(FaultyAgentWith, CorruptFlipsOneBitOfThePiece) {
  use("corrupt@3");
  Pull pull{*puller, offer(*owner), bytes};
  EXPECT_THAT(pull.run(), IsOk());
  EXPECT_FALSE(pull.pending);
  EXPECT_EQ(pieces_of(bytes), "1110111111");
  bytes[3 * kFaultPieceBytes] ^= std::byte{1};
  EXPECT_EQ(pieces_of(bytes), "1111111111");
  expect_report(3);
}

TEST_F(FaultyAgentWith, CorruptFlipsABitOfAWriteOnTheWay) {
  use("corrupt@3");
  const Source source = offer(*owner);
  const std::span<std::byte> theirs = source.memory->bytes();
  bytes.assign(theirs.begin(), theirs.end());
  std::memset(theirs.data(), 0, theirs.size());
  Pull push{*puller, source, bytes, Operation::kWrite};
  EXPECT_THAT(push.run(), IsOk());
  EXPECT_EQ(pieces_of(theirs), "1110111111");
  EXPECT_EQ(pieces_of(bytes), "1111111111") << "the source is as it was";
}

TEST_F(FaultyAgentWith, OwnersInThisProcessAreSpared) {
  use("kill-owner@3");
  Pull pull{*puller, offer(*owner), bytes};
  EXPECT_THAT(pull.run(), FailsWith(ErrorCode::kRefused, "no process of its own"));
}

/// An owner in a child of this process, which does nothing but be there.
class Child {
 public:
  explicit Child(const std::string& directory) {
    std::array<int, 2> channel{};
    EXPECT_EQ(pipe(channel.data()), 0);
    process = fork();
    if (process == 0) {
      const auto owner = shm_agent(directory, "owner");
      const Source offered = offer(*owner);
      const std::uint64_t size = offered.metadata.size();
      const bool told = write(channel[1], &offered.address, 8) == 8 &&
                        write(channel[1], &size, 8) == 8 &&
                        write(channel[1], offered.metadata.data(), size) == ssize_t(size);
      pause();
      _exit(told ? 0 : 1);
    }
    std::uint64_t size = 0;
    EXPECT_EQ(read(channel[0], &source.address, 8), 8);
    EXPECT_EQ(read(channel[0], &size, 8), 8);
    source.metadata.resize(size);
    EXPECT_EQ(read(channel[0], source.metadata.data(), size), ssize_t(size));
    close(channel[0]);
    close(channel[1]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }

  pid_t process{-1};
  Source source;
};

TEST_F(FaultyAgentWithProcess, StopOwnerStopsItAndGoesOn) {
  const Child child{directory.path()};
  use("stop-owner@3");
  Pull pull{*puller, child.source, bytes};
  EXPECT_THAT(pull.run(), IsOk());
  EXPECT_EQ(pieces_of(bytes), "1111111111");
  int status = 0;
  // Not WNOHANG: the signal is on its way, not necessarily there.
  EXPECT_EQ(waitpid(child.process, &status, WUNTRACED), child.process);
  EXPECT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(puller->liveness(pull.peer), agent::Liveness::kAlive);
  expect_report(3);
}

TEST_F(FaultyAgentWithProcess, KillOwnerKillsItInTheMiddle) {
  const Child child{directory.path()};
  use("kill-owner@3");
  Pull pull{*puller, child.source, bytes};
  EXPECT_THAT(pull.run(), FailsWith(ErrorCode::kUnavailable, "gone"));
  EXPECT_EQ(pieces_of(bytes), "1110000000");
  EXPECT_EQ(puller->liveness(pull.peer), agent::Liveness::kDead);
  expect_report(3);
}

TEST_F(FaultyAgentWithProcess, KillSelfKillsThisProcessInTheMiddle) {
  auto* const shared = static_cast<std::byte*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Child child{directory.path()};
  const pid_t victim = fork();
  if (victim == 0) {
    use("kill-self@3");
    Pull pull{*puller, child.source, {shared, kBytes}};
    _exit(pull.run() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(victim, &status, 0), victim);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(pieces_of({shared, kBytes}), "1110000000");
  munmap(shared, kBytes);
}

class MessageFaultsOf : public FaultyAgentWith {
 protected:
  /// Sends the messages "\0" to "\x63"; gives what arrived, by number.
  std::vector<unsigned> arrived(const MessageFaults& faults) {
    puller =
        std::make_unique<FaultyAgent>(shm_agent(directory.path(), "puller"), std::nullopt, faults);
    const auto peer = puller->load_peer("owner", *owner->local_metadata(), soon());
    for (unsigned number = 0; number < 100; ++number) {
      const std::array<std::byte, 1> message{static_cast<std::byte>(number)};
      EXPECT_THAT(puller->notify(*peer, message, soon()), IsOk());
    }
    return take();
  }
  std::vector<unsigned> take() {
    std::vector<unsigned> numbers;
    for (const agent::Notification& got : owner->take_notifications()) {
      numbers.push_back(std::to_integer<unsigned>(got.bytes.at(0)));
    }
    return numbers;
  }
};

TEST_F(MessageFaultsOf, NoneLeaveOrderAndNumber) {
  const std::vector<unsigned> got = arrived({});
  ASSERT_EQ(got.size(), 100U);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST_F(MessageFaultsOf, ASeedReplay) {
  const MessageFaults faults{5, 10, 10, 10, 10, 10};
  const std::vector<unsigned> first = arrived(faults);
  EXPECT_EQ(arrived(faults), first);
  EXPECT_NE(arrived({6, 10, 10, 10, 10, 10}), first);
}

TEST_F(MessageFaultsOf, LoseAndDuplicateChangeTheNumber) {
  const std::vector<unsigned> lost = arrived({1, 30, 0, 0, 0, 0});
  EXPECT_GT(lost.size(), 50U);
  EXPECT_LT(lost.size(), 90U);
  EXPECT_TRUE(std::is_sorted(lost.begin(), lost.end()));
  const std::vector<unsigned> doubled = arrived({1, 0, 30, 0, 0, 0});
  EXPECT_GT(doubled.size(), 110U);
  EXPECT_LT(doubled.size(), 150U);
}

TEST_F(MessageFaultsOf, CorruptFlipsABitOfSome) {
  const std::vector<unsigned> got = arrived({1, 0, 0, 30, 0, 0});
  ASSERT_EQ(got.size(), 100U);
  int changed = 0;
  for (unsigned number = 0; number < 100; ++number) {
    const unsigned difference = got[number] ^ number;
    EXPECT_EQ(difference & (difference - 1), 0U) << "more than one bit";
    changed += difference != 0 ? 1 : 0;
  }
  EXPECT_GT(changed, 10);
  EXPECT_LT(changed, 50);
}

TEST_F(MessageFaultsOf, ReorderSendsSomeAfterTheirSuccessors) {
  std::vector<unsigned> got = arrived({1, 0, 0, 0, 30, 0});
  EXPECT_FALSE(std::is_sorted(got.begin(), got.end()));
  EXPECT_GE(got.size(), 95U) << "only the last ones may still wait for a successor";
  std::sort(got.begin(), got.end());
  EXPECT_EQ(std::unique(got.begin(), got.end()), got.end());
}

TEST_F(MessageFaultsOf, DelayHoldsSomeBackUntilTold) {
  std::vector<unsigned> got = arrived({1, 0, 0, 0, 0, 30});
  EXPECT_LT(got.size(), 90U);
  ASSERT_THAT(puller->deliver_delayed(soon()), IsOk());
  const std::vector<unsigned> rest = take();
  EXPECT_EQ(got.size() + rest.size(), 100U);
  EXPECT_TRUE(std::is_sorted(rest.begin(), rest.end()));
}

}  // namespace
}  // namespace kvferry::testing
