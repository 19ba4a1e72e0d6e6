// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "files.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "kvferry/testing/faulty_agent.hpp"
#include "outcome.hpp"

namespace kvferry::tool {

/// What the command line says of a worker and its layout; numbers as they were written.
struct NodeOptions {
  std::string name{};
  std::string geometry{"llama-3.1-8b"};
  std::string model{};
  std::optional<std::string> layout{};  ///< keys of SPEC
  std::optional<std::string> order{};
  std::optional<std::string> page{};
  std::optional<std::string> dtype{};
  std::optional<std::string> tp{};
  std::optional<std::string> pp{};
  std::optional<std::string> num_blocks{};
  std::string access{"read-write"};
  std::string fill{};  ///< "pattern" or "zero"
  std::string seed{"0"};
  std::optional<std::string> id{};  ///< nothing: a hash of the name
  std::optional<std::string> fault{};
};

/// A worker of the tool: an agent, a manager and one layout of its own.
class Node {
 public:
  /// `num_blocks` counts where the options do not say.
  ///
  /// Errors: usage and invalid for what the options say; those of the agent and the memory.
  [[nodiscard]] static Outcome<Node> create(const NodeOptions& options, std::uint64_t num_blocks);

  [[nodiscard]] manager::TransportManager& manager() const noexcept { return *manager_; }
  [[nodiscard]] const transfer::PhysicalLayout& layout() const noexcept { return *layout_; }
  [[nodiscard]] LayoutHandle handle() const noexcept { return handle_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// What --fault has done; nothing without one.
  [[nodiscard]] std::optional<testing::FaultReport> fault_report() const;

 private:
  Node() = default;

  std::shared_ptr<testing::FaultyAgent> fault_;  // shared: also the manager's agent
  std::unique_ptr<manager::TransportManager> manager_;
  transfer::PhysicalLayoutPtr layout_;
  LayoutHandle handle_{};
  std::uint64_t seed_{0};
};

/// Where the sockets of this user's agents lie.
[[nodiscard]] std::string socket_directory();

/// Where each region of a local view begins, in the order of its regions.
[[nodiscard]] std::vector<std::byte*> bases_of(const layout::LayoutView& view);

/// What was moved into blocks of a local layout, and from which blocks.
struct Moved {
  std::vector<layout::LayoutView> parts;  ///< of the destination's view: all that was moved
  std::span<const BlockId> source;
  std::span<const BlockId> destination;
  std::uint64_t source_page{0};  ///< tokens in a source block
  std::uint64_t seed{0};         ///< of the source
};

/// Compares every byte that was moved with the pattern; gives the places in the list of the
/// destination blocks that differ. Stops at `deadline` and gives those that it did not come to as
/// well.
[[nodiscard]] Result<std::vector<std::size_t>> check_pattern(const Moved& moved,
                                                             TimePoint deadline);

/// Writes blocks in the order given, each as layer, outer, token, head, element, without padding.
///
/// Errors: those of OutputFile.
[[nodiscard]] Result<void> dump_blocks(const layout::LayoutView& view,
                                       std::span<const BlockId> blocks, OutputFile& file);

}  // namespace kvferry::tool
