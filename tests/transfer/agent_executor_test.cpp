// SPDX-License-Identifier: Apache-2.0
// Goal: the agent executor hands on what its agent says, and trusts no bytes of an owner that died
//       or was forgotten.
// Method: two agents of shared memory in one process, one of them wrapped by one that fails; the
//         rest is the executors' conformance suite.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>

#include "guarded_cache.hpp"
#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/testing/faulty_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::FailsWith;
using testing::Fault;
using testing::FaultKind;
using testing::IsOk;

class AgentExecutorTest : public ::testing::Test {
 protected:
  std::unique_ptr<const Executor> executor(const std::optional<Fault>& fault = std::nullopt) {
    reader_ = make("reader");
    if (fault) {
      reader_ = std::make_shared<testing::FaultyAgent>(reader_, fault);
    }
    EXPECT_THAT(owner_->register_memory(source_->memories().front(), Access::kRead), IsOk());
    peer_ = *reader_->load_peer("owner", *owner_->local_metadata(),
                                std::chrono::steady_clock::now() + 30s);
    auto side = reader_->prepare_remote(peer_, source_->view().regions());
    EXPECT_THAT(side, IsOk());
    auto made = make_agent_executor({reader_, peer_, agent::Operation::kRead, *side,
                                     destination_->view().regions(), destination_});
    EXPECT_THAT(made, IsOk());
    return *std::move(made);
  }
  std::shared_ptr<agent::Agent> make(const char* name) const {
    return *agent::ShmAgent::create({.name = name, .socket_directory = directory_.path()});
  }
  static PhysicalLayoutPtr layout() {
    return *PhysicalLayout::fully_contiguous(testing::tiny_config(4)).allocate_system().build();
  }

  testing::TemporaryDirectory directory_;
  std::shared_ptr<agent::Agent> owner_ = make("owner");
  std::shared_ptr<agent::Agent> reader_;
  agent::PeerId peer_;
  PhysicalLayoutPtr source_ = layout();
  PhysicalLayoutPtr destination_ = layout();
  kvferry::Run run_{{0, 0, 0}, {0, 0, 0}, 64, 1};
};

TEST_F(AgentExecutorTest, HandsOnTheAgentsErrors) {
  const auto made = executor(Fault{FaultKind::kFail, 0});
  EXPECT_THAT(made->post({{&run_, 1}}), FailsWith(ErrorCode::kUnavailable, "piece 0"));
  run_.bytes = 65;
  EXPECT_THAT(made->post({{&run_, 1}}), FailsWith(ErrorCode::kInvalidArgument, "64 bytes"));
}

TEST_F(AgentExecutorTest, PendingRequestsAreTheAgentsOwn) {
  const auto made = executor(Fault{FaultKind::kDrop, 0});
  const auto posted = made->post({{&run_, 1}});
  ASSERT_THAT(posted, IsOk());
  ASSERT_TRUE(posted->has_value());
  EXPECT_EQ(*made->poll(**posted), agent::RequestState::kPending);
  EXPECT_FALSE(made->quiet(**posted));
  made->cancel(**posted);
  EXPECT_THAT(made->poll(**posted), FailsWith(ErrorCode::kCancelled, ""));
  EXPECT_TRUE(made->quiet(**posted));
  made->release(**posted);
}

TEST_F(AgentExecutorTest, ForgottenOwnerIsStaleAndNotTrusted) {
  const auto made = executor();
  EXPECT_THAT(made->check_owner(), IsOk());
  ASSERT_THAT(reader_->forget_peer(peer_), IsOk());
  EXPECT_THAT(made->post({{&run_, 1}}), FailsWith(ErrorCode::kStale, ""));
  EXPECT_THAT(made->check_owner(), FailsWith(ErrorCode::kUnavailable, "died"));
}

}  // namespace
}  // namespace kvferry::transfer
