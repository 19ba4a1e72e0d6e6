// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvferry/transfer/transfer.hpp"
#include "transfer/completion.hpp"
#include "transfer/state.hpp"

namespace kvferry::transfer {

/// What one source gives, and how that source is called in messages.
struct TransferMember {
  std::shared_ptr<TransferState> state;  // shared: with the engine that carries it out
  std::string source;                    ///< empty where there is no other
};

/// One transfer: a state for each part that a source gives, of which at least one. Each moves on
/// and fails by itself.
struct TransferGroup {
  std::vector<TransferMember> members;
  plan::PlanSummary plan;
  std::vector<BlockId> partial_blocks;  ///< ascending; of a transfer that does not cover them
  std::string assumed;                  ///< of its ends
  bool by_layer{false};
  std::shared_ptr<Completion> completion{};  // shared: with the states
};

/// Of a group that has ended.
[[nodiscard]] TransferReport report_of(const TransferGroup& group);

/// What the group's parts have come to, together.
[[nodiscard]] TransferReport combined(const TransferGroup& group,
                                      const std::vector<TransferReport>& reports);

}  // namespace kvferry::transfer
