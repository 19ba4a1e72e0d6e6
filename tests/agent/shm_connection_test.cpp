// SPDX-License-Identifier: Apache-2.0
// Goal: a caller takes the answer to its own question and nothing else, in time.
// Method: a forged peer that is silent, late, wrong, or gone.
#include "agent/shm_connection.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "agent/peers.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::agent {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

class ShmConnectionTo : public ::testing::Test {
 protected:
  /// A peer that welcomes, and answers everything else with `answer`.
  ForgedPeer::Answer polite(ForgedPeer::Answer answer) {
    return [answer = std::move(answer)](int socket, const Packet& question) {
      if (question.type == PacketType::kHello) {
        ForgedPeer::send(socket, PacketType::kWelcome, question.sequence);
      } else {
        answer(socket, question);
      }
    };
  }
  Result<std::vector<UniqueFd>> fetch(ForgedPeer::Answer answer, std::size_t count,
                                      TimePoint until) {
    const ForgedPeer peer{path_, polite(std::move(answer))};
    const auto connection = ShmConnection::open(peer.blob(), "caller", soon());
    EXPECT_THAT(connection, IsOk());
    return (*connection)->fetch(std::vector<std::uint64_t>(count, 7), until);
  }

  kvferry::testing::TemporaryDirectory directory_;
  const std::string path_{directory_.path() + "/s"};
  const UniqueFd null_{open("/dev/null", O_RDONLY | O_CLOEXEC)};
};

TEST_F(ShmConnectionTo, AsksInPartsAndKeepsTheOrder) {
  std::vector<std::size_t> asked;
  const auto files = fetch(
      [&](int socket, const Packet& question) {
        const auto ids = decode_ids(question.body);
        asked.push_back(ids->size());
        const std::vector<int> many(ids->size(), null_.get());
        ForgedPeer::send(socket, PacketType::kMemories, question.sequence, {}, many);
      },
      130, soon());
  ASSERT_THAT(files, IsOk());
  EXPECT_EQ(files->size(), 130U);
  EXPECT_EQ(asked, (std::vector<std::size_t>{64, 64, 2}));
}

TEST_F(ShmConnectionTo, RefusesFewerFilesThanAskedFor) {
  EXPECT_THAT(fetch(
                  [&](int socket, const Packet& question) {
                    const std::vector<int> one{null_.get()};
                    ForgedPeer::send(socket, PacketType::kMemories, question.sequence, {}, one);
                  },
                  2, soon()),
              FailsWith(ErrorCode::kRefused, "1 files of 2"));
}

TEST_F(ShmConnectionTo, RefusesAnswersToNoQuestion) {
  EXPECT_THAT(fetch(
                  [](int socket, const Packet& question) {
                    ForgedPeer::send(socket, PacketType::kWelcome, question.sequence);
                  },
                  1, soon()),
              FailsWith(ErrorCode::kCorrupt, "type 2, not 4"));
  EXPECT_THAT(
      fetch([](int socket,
               const Packet&) { (void)send_packet(socket, std::vector<std::byte>(5), {}, soon()); },
            1, soon()),
      FailsWith(ErrorCode::kCorrupt, "packet of 5 bytes"));
}

TEST_F(ShmConnectionTo, PassesOnThePeersError) {
  EXPECT_THAT(fetch(
                  [](int socket, const Packet& question) {
                    ForgedPeer::send(socket, PacketType::kError, question.sequence,
                                     encode_error({ErrorCode::kStale, "memory 7 is gone"}));
                  },
                  1, soon()),
              FailsWith(ErrorCode::kStale, "memory 7 is gone"));
}

TEST_F(ShmConnectionTo, NoticesThatThePeerHangsUp) {
  EXPECT_THAT(fetch([](int socket, const Packet&) { shutdown(socket, SHUT_RDWR); }, 1, soon()),
              FailsWith(ErrorCode::kUnavailable, "closed the connection"));
}

TEST_F(ShmConnectionTo, DropsTheAnswerToAQuestionGivenUp) {
  std::uint32_t unanswered = 0;
  const ForgedPeer peer{path_, polite([&](int socket, const Packet& question) {
                          if (unanswered == 0) {
                            unanswered = question.sequence;
                            return;
                          }
                          const std::vector<int> two{null_.get(), null_.get()};
                          ForgedPeer::send(socket, PacketType::kMemories, unanswered, {}, two);
                          ForgedPeer::send(socket, PacketType::kAccepted, question.sequence);
                        })};
  const auto connection = ShmConnection::open(peer.blob(), "caller", soon());
  ASSERT_THAT(connection, IsOk());
  EXPECT_FALSE((*connection)->is_closed());
  EXPECT_THAT((*connection)->fetch(std::vector<std::uint64_t>{1, 2}, shortly()),
              FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT((*connection)->notify({}, soon()), IsOk());
}

TEST_F(ShmConnectionTo, WaitsForAnotherQuestionNoLongerThanItsDeadline) {
  std::atomic<bool> asked{false};
  const ForgedPeer peer{path_, polite([&](int, const Packet&) { asked = true; })};
  const auto connection = ShmConnection::open(peer.blob(), "caller", soon());
  ASSERT_THAT(connection, IsOk());
  const TimePoint later = std::chrono::steady_clock::now() + std::chrono::seconds{2};
  std::thread first{[&] {
    EXPECT_THAT((*connection)->notify({}, later), FailsWith(ErrorCode::kDeadline, "answer"));
  }};
  while (!asked) {
    std::this_thread::yield();
  }
  EXPECT_THAT((*connection)->notify({}, shortly()),
              FailsWith(ErrorCode::kDeadline, "another call to this peer"));
  first.join();
}

TEST_F(ShmConnectionTo, TellsWhoIsMeantAndWhoCalls) {
  Hello heard;
  ForgedPeer peer{path_, [&heard](int socket, const Packet& question) {
                    heard = *decode_hello(question.body);
                    ForgedPeer::send(socket, PacketType::kWelcome, question.sequence);
                  }};
  ShmBlob blob = peer.blob();
  blob.instance.fill(std::byte{9});
  const auto connection = ShmConnection::open(blob, "caller", soon());
  ASSERT_THAT(connection, IsOk());
  EXPECT_EQ((*connection)->process()->id(), getpid());
  EXPECT_EQ(heard.instance, blob.instance);
  EXPECT_EQ(heard.name, "caller");
}

TEST_F(ShmConnectionTo, RefusesAnotherUsersPeer) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can be two users";
  }
  const ForgedPeer peer{path_, polite([](int, const Packet&) {})};
  ASSERT_EQ(chown(directory_.path().c_str(), kStranger, kStranger), 0);
  ASSERT_EQ(chown(path_.c_str(), kStranger, kStranger), 0);
  const ShmBlob blob = peer.blob();
  EXPECT_EQ(in_child(kStranger,
                     [&blob] {
                       const auto opened = ShmConnection::open(blob, "caller", soon());
                       return !opened && opened.error().code == ErrorCode::kRefused ? 0 : 1;
                     }),
            0);
}

}  // namespace
}  // namespace kvferry::agent
