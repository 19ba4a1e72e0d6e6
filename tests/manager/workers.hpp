// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "kvferry/testing/faulty_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "transfer/guarded_cache.hpp"

namespace kvferry::testing {

inline std::unique_ptr<manager::TransportManager> make_manager(manager::ManagerOptions options) {
  auto made = manager::TransportManager::create(std::move(options));
  EXPECT_TRUE(made.has_value());
  return *std::move(made);
}

/// A manager that moves blocks inside this process only.
inline std::unique_ptr<manager::TransportManager> local_manager() {
  return make_manager({.worker_id = WorkerId{7}});
}

inline LayoutHandle register_cache(manager::TransportManager& manager, const GuardedCache& cache,
                                   Access access = Access::kRead) {
  const auto handle = manager.register_layout(cache.physical(), {.access = access});
  EXPECT_TRUE(handle.has_value());
  return *handle;
}

/// A layout in memory that peers can map, filled with the pattern of `seed`.
inline transfer::PhysicalLayoutPtr shared_layout(const layout::LayoutConfig& config,
                                                 layout::Arrangement arrangement,
                                                 std::uint64_t seed) {
  auto built = transfer::PhysicalLayoutBuilder{config, arrangement}.allocate_system().build();
  EXPECT_TRUE(built.has_value());
  if (config.num_heads.has_value()) {
    const auto filled = pattern_fill((*built)->view(), (*built)->region_bases(),
                                     pattern_blocks(config.num_blocks), seed);
    EXPECT_TRUE(filled.has_value());
  }
  return *built;
}

/// What the two processes of a lease have: blocks of standard_config(), 2 MiB in all.
inline constexpr std::uint64_t kLeasedBlocks = 128;
inline constexpr std::uint64_t kLeasedBytes = kLeasedBlocks * 16'384;

/// One worker with an agent of shared memory; in a test there are several in one process.
struct Worker {
  Worker(const TemporaryDirectory& directory, std::uint64_t id, const std::string& name,
         std::optional<Fault> fault = std::nullopt)
      : agent{make_agent(directory, name, fault)},
        manager{make_manager({.worker_id = WorkerId{id}, .agent = agent})} {}

  static std::shared_ptr<agent::Agent> make_agent(const TemporaryDirectory& directory,
                                                  const std::string& name,
                                                  const std::optional<Fault>& fault) {
    auto made = agent::ShmAgent::create({.name = name, .socket_directory = directory.path()});
    EXPECT_TRUE(made.has_value());
    if (fault.has_value()) {
      return std::make_shared<FaultyAgent>(*made, fault);
    }
    return *made;
  }

  [[nodiscard]] wire::SerializedLayout exported() const {
    auto message = manager->export_metadata();
    EXPECT_TRUE(message.has_value());
    return *message;
  }

  std::shared_ptr<agent::Agent> agent;  // shared: with the manager, as any caller would
  std::unique_ptr<manager::TransportManager> manager;
};

/// Pulls block 3 of `source` into block 1 of `destination`, which is registered as `mine`; whether
/// it then holds the pattern of `seed`.
inline Result<bool> pull_block(manager::TransportManager& reader, LayoutHandle source,
                               LayoutHandle mine, const transfer::PhysicalLayout& destination,
                               std::uint64_t seed) {
  KVFERRY_ASSIGN_OR_RETURN(const auto transfer,
                           reader.execute_transfer(source, block_ids({3}), mine, block_ids({1})));
  const auto report = transfer.wait();
  if (report.error) {
    return *report.error;
  }
  KVFERRY_ASSIGN_OR_RETURN(
      const auto wrong, pattern_check(destination.view(), destination.region_bases(),
                                      std::vector<PatternBlock>{{BlockId{1}, BlockId{3}}}, seed));
  return wrong.empty();
}

/// What Assumptions have to say of standard_config(), which format A cannot.
inline manager::ImportOptions knowing_heads(std::uint64_t heads = 2) {
  manager::ImportOptions options;
  options.assume.order = layout::kNhd;
  options.assume.num_heads = heads;
  return options;
}

}  // namespace kvferry::testing
