// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "conformance/owner.hpp"
#include "kvferry/agent/agent.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::conformance {

/// What a new agent brings to be checked: how to make one, and a peer of its kind.
struct AgentCase {
  std::string name;
  std::function<std::shared_ptr<agent::Agent>(const std::string& directory)> make_agent;
  std::function<std::unique_ptr<Owner>(const std::string& directory)> make_owner;
};

inline void PrintTo(const AgentCase& tested, std::ostream* out) { *out << tested.name; }

/// An agent under test, a peer, and what most checks do with them.
class AgentContract : public ::testing::TestWithParam<AgentCase> {
 protected:
  AgentContract()
      : agent_{GetParam().make_agent(directory_.path())},
        owner_{GetParam().make_owner(directory_.path())} {}

  Result<agent::PeerId> load() {
    return agent_->load_peer(owner_->name(), owner_->metadata(), soon());
  }

  /// Posts one request and waits for its end, as an engine would.
  Result<void> move(agent::Operation operation, const agent::PreparedSidePtr& local,
                    const agent::PreparedSidePtr& remote, std::span<const kvferry::Run> runs);

  agent::PreparedSidePtr near(Bytes& bytes) {
    const Region region{reinterpret_cast<std::uintptr_t>(bytes.data()), bytes.size()};
    return *agent_->prepare_local({&region, 1});
  }
  agent::PreparedSidePtr far(agent::PeerId peer, const Region& region) {
    return *agent_->prepare_remote(peer, {&region, 1});
  }

  /// Reads all of `region` and says whether it is what fill(seed) wrote.
  ::testing::AssertionResult reads(const agent::PreparedSidePtr& side, std::uint64_t size,
                                   std::uint64_t seed);

  kvferry::testing::TemporaryDirectory directory_;
  std::shared_ptr<agent::Agent> agent_;
  std::unique_ptr<Owner> owner_;
};

/// One piece from the start of region 0 to the start of region 0.
inline kvferry::Run whole(std::uint64_t bytes) { return {{0, 0, 0}, {0, 0, 0}, bytes, 1}; }

}  // namespace kvferry::conformance
