// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kvferry::wire {

/// How much of anything a message may hold before it is refused. The defaults leave a factor of
/// about ten above the largest deployments known, and keep what one hostile peer can make us hold
/// in the order of the message it sent.
struct WireLimits {
  std::uint64_t message_bytes{64ULL << 20};  ///< of a whole message
  std::uint64_t agent_name_bytes{4096};  ///< of the worker's and of each layout's, of an audience
  std::uint64_t nixl_metadata_bytes{32ULL << 20};  ///< of each opaque blob
  std::uint64_t layouts{65'536};                   ///< all that a 16-bit layout id can name
  std::uint64_t descriptors_per_layout{65'536};    ///< far above the layers of any model
  std::uint64_t agents{16};                        ///< kinds of agents, of an envelope
  std::uint64_t required_features{64};             ///< of an envelope
};

}  // namespace kvferry::wire
