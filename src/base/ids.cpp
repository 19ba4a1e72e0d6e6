// SPDX-License-Identifier: Apache-2.0
#include "kvferry/base/ids.hpp"

namespace kvferry {

std::vector<BlockId> block_ids(std::initializer_list<std::uint64_t> ids) {
  std::vector<BlockId> made;
  made.reserve(ids.size());
  for (const std::uint64_t id : ids) {
    made.push_back(BlockId{id});
  }
  return made;
}

std::string to_string(LayoutHandle handle) {
  return "LayoutHandle(worker=" + std::to_string(handle.worker_id().value()) +
         ", layout=" + std::to_string(handle.layout_id().value()) + ")";
}

}  // namespace kvferry
