// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kvferry/agent/agent.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "suites.hpp"

namespace kvferry::bench {

/// Two workers of one process. Each maps the other's memory as another process would.
struct WorkerPair {
  std::shared_ptr<agent::Agent> owner_agent;   // shared: with the owner
  std::shared_ptr<agent::Agent> reader_agent;  // shared: with the reader
  std::unique_ptr<manager::TransportManager> owner;
  std::unique_ptr<manager::TransportManager> reader;
};

/// Errors: those of ShmAgent::create() and TransportManager::create().
[[nodiscard]] Result<WorkerPair> make_worker_pair(const SuiteOptions& options);

}  // namespace kvferry::bench
