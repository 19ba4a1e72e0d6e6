// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "measure.hpp"

namespace kvferry::bench {

struct SuiteOptions {
  bool quick{false};               ///< fewer rounds and smaller caches
  std::string socket_directory{};  ///< of the agents that a suite needs
  std::string disk_directory{};    ///< of the files that a suite reads and writes
  std::string rust_program{};      ///< of suite wire: the original's side; empty: there is none
};

/// One process, system memory.
[[nodiscard]] Result<std::vector<CaseResult>> run_host_suite(const SuiteOptions& options);

/// Files, beside a loop over a raw io_uring. What cannot be had of the directory's file system,
/// such as direct transfers, is there as skipped.
[[nodiscard]] Result<std::vector<CaseResult>> run_disk_suite(const SuiteOptions& options);

/// From the last byte's arrival to the waiter's return, who asks in a loop or sleeps, beside a
/// thread that copies and says so. Takes all processors that there are, also where `bench` was
/// given one.
[[nodiscard]] Result<std::vector<CaseResult>> run_latency_suite(const SuiteOptions& options);

/// Up to 10,000 transfers of one block of a file, all begun before any is waited for.
[[nodiscard]] Result<std::vector<CaseResult>> run_many_suite(const SuiteOptions& options);

/// What a manager's heap holds of imported layouts.
[[nodiscard]] Result<std::vector<CaseResult>> run_memory_suite(const SuiteOptions& options);

/// Planning, beside nested loops that compute the same pieces; no byte is moved.
[[nodiscard]] Result<std::vector<CaseResult>> run_plan_suite(const SuiteOptions& options);

/// Two processes, the built-in agent. Forks its peer, so it runs before any thread is started.
[[nodiscard]] Result<std::vector<CaseResult>> run_shm_suite(const SuiteOptions& options);

/// Packing and unpacking of messages, beside the original's own code in another process. Without
/// that program every case is there as skipped.
[[nodiscard]] Result<std::vector<CaseResult>> run_wire_suite(const SuiteOptions& options);

/// The names of all suites, in the order in which they run.
[[nodiscard]] std::vector<std::string_view> suite_names();

/// Errors: kInvalidArgument for a name that is no suite's; whatever the suite needs and has not.
[[nodiscard]] Result<std::vector<CaseResult>> run_suite(std::string_view name,
                                                        const SuiteOptions& options);

}  // namespace kvferry::bench
