// SPDX-License-Identifier: Apache-2.0
#include "conformance/agent_fixture.hpp"

#include <thread>

#include "kvferry/base/try.hpp"

namespace kvferry::conformance {

Result<void> AgentContract::move(agent::Operation operation, const agent::PreparedSidePtr& local,
                                 const agent::PreparedSidePtr& remote,
                                 std::span<const kvferry::Run> runs) {
  KVFERRY_ASSIGN_OR_RETURN(const auto id, agent_->post({operation, local, remote, runs}));
  const TimePoint end = soon();
  while (id) {
    KVFERRY_ASSIGN_OR_RETURN(const agent::RequestState state, agent_->poll(*id));
    if (state == agent::RequestState::kDone) {
      agent_->release(*id);
      break;
    }
    if (std::chrono::steady_clock::now() > end) {
      return Error{ErrorCode::kDeadline, "the request does not end"};
    }
    std::this_thread::yield();
  }
  return {};
}

::testing::AssertionResult AgentContract::reads(const agent::PreparedSidePtr& side,
                                                std::uint64_t size, std::uint64_t seed) {
  Bytes bytes(size);
  const kvferry::Run run = whole(size);
  if (auto moved = move(agent::Operation::kRead, near(bytes), side, {&run, 1}); !moved) {
    return ::testing::AssertionFailure() << moved.error().message;
  }
  for (std::uint64_t offset = 0; offset < size; ++offset) {
    if (bytes[offset] != byte_at(seed, offset)) {
      return ::testing::AssertionFailure() << "byte " << offset << " of " << size << " is wrong";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace kvferry::conformance
