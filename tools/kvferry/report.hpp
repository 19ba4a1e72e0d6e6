// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kvferry/base/error.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/testing/faulty_agent.hpp"
#include "kvferry/transfer/transfer.hpp"

namespace kvferry::tool {

/// What the tool says of one transfer, after its bytes were checked.
struct TransferStory {
  std::uint64_t blocks{0};          ///< destination blocks asked for
  transfer::TransferReport report;  ///< its bad blocks are those of the check too
  std::string verified{"none"};     ///< "none", "pattern"
  double verify_seconds{0};
  std::optional<testing::FaultReport> fault;
};

/// A story of a transfer that was refused before it began.
[[nodiscard]] TransferStory refused_story(const Error& error, std::vector<BlockId> blocks);

/// The transfer as the JSON of `pull` and `demo`.
[[nodiscard]] nlohmann::ordered_json json_of(const TransferStory& story);

/// The transfer in a line or two for people.
[[nodiscard]] std::string text_of(const TransferStory& story);

/// "4,7-9": blocks in ascending order, with ranges.
[[nodiscard]] std::string text_of(const std::vector<BlockId>& blocks);

/// Bytes that were moved per second of moving, in units of 10^9.
[[nodiscard]] double gb_per_s(const transfer::TransferReport& report);

}  // namespace kvferry::tool
