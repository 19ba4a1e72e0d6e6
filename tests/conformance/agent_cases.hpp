// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "conformance/agent_fixture.hpp"
#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/testing/faulty_agent.hpp"

// Every agent that there is, with its peers. A new one is one more case here.
namespace kvferry::conformance {

inline std::shared_ptr<agent::Agent> make_shm_agent(const std::string& directory) {
  agent::ShmAgentOptions options;
  options.name = "tested";
  options.socket_directory = directory;
  return *agent::ShmAgent::create(std::move(options));
}

inline std::shared_ptr<agent::Agent> make_faultless_agent(const std::string& directory) {
  return std::make_shared<kvferry::testing::FaultyAgent>(make_shm_agent(directory));
}

inline std::unique_ptr<Owner> make_other_process(const std::string& directory) {
  return make_process_owner(KVFERRY_AGENT_OWNER, directory);
}

inline AgentCase shm_in_one_process() {
  return {"ShmInOneProcess", make_shm_agent, make_local_owner};
}
inline AgentCase shm_in_two_processes() {
  return {"ShmInTwoProcesses", make_shm_agent, make_other_process};
}
inline AgentCase faulty_without_fault() {
  return {"FaultyWithoutFault", make_faultless_agent, make_other_process};
}

inline std::string case_name(const ::testing::TestParamInfo<AgentCase>& info) {
  return info.param.name;
}

}  // namespace kvferry::conformance
