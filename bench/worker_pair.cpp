// SPDX-License-Identifier: Apache-2.0
#include "worker_pair.hpp"

#include <unistd.h>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::bench {

Result<WorkerPair> make_worker_pair(const SuiteOptions& options) {
  const std::string name = "bench-" + std::to_string(::getpid());
  WorkerPair pair;
  KVFERRY_ASSIGN_OR_RETURN(pair.owner_agent,
                           agent::ShmAgent::create({.name = name + "-owner",
                                                    .socket_directory = options.socket_directory}));
  KVFERRY_ASSIGN_OR_RETURN(pair.reader_agent,
                           agent::ShmAgent::create({.name = name + "-reader",
                                                    .socket_directory = options.socket_directory}));
  KVFERRY_ASSIGN_OR_RETURN(
      pair.owner, manager::TransportManager::create(
                      {.worker_id = WorkerId{1}, .agent = pair.owner_agent, .copy_threads = 1}));
  KVFERRY_ASSIGN_OR_RETURN(
      pair.reader, manager::TransportManager::create(
                       {.worker_id = WorkerId{2}, .agent = pair.reader_agent, .copy_threads = 1}));
  return pair;
}

}  // namespace kvferry::bench
