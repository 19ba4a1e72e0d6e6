// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kvferry/base/clock.hpp"
#include "kvferry/base/error.hpp"
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::manager {

/// Blocks of one of our layouts that a peer wants to stay as they are while it copies them.
struct LeaseRequest {
  WorkerId reader{};
  std::string reader_agent;
  std::uint64_t number{0};  ///< of the request; another one for each request of a reader's life
  LayoutHandle layout{};
  std::vector<BlockId> blocks;           ///< in range; may repeat
  std::vector<std::uint64_t> sequences;  ///< of the blocks' guards, compared already; or none
  TimePoint deadline{};                  ///< the lease ends then at the latest
};

/// What the engine that recycles blocks has to say about them. Each granted lease has one ask()
/// and one ended(), in this order.
///
/// Threads: called on a thread of the manager, one at a time. They must be quick, must not throw,
///          and must not wait for a transfer or ask for a hold; they may start transfers.
struct LeaseHooks {
  /// Whether the blocks can be held. An error refuses them, and is what the reader gets; kRefused
  /// unless another code fits better. Empty: all are granted.
  std::function<Result<void>(const LeaseRequest& request)> ask{};
  /// The blocks are free again. Nothing: the peer has all of their bytes. Otherwise what the peer
  /// told; kDeadline when it told nothing in time, perhaps because it took no answer; kUnavailable
  /// when it died; kCancelled when this manager ends.
  std::function<void(const LeaseRequest& request, const std::optional<Error>& error)> ended{};
};

/// Bounds of what peers can make an owner hold. More is kBusy, longer kInvalidArgument.
struct LeaseLimits {
  /// Of one reader: as many as it can have transfers in flight with one layer of a model each.
  std::size_t per_reader{1'024};
  /// Of all readers together: some eight that are as busy as they can be.
  std::size_t in_all{8'192};
  /// A whole cache moves in seconds; ten minutes of the slowest network in use move any.
  Duration longest{std::chrono::minutes{10}};
};

}  // namespace kvferry::manager
