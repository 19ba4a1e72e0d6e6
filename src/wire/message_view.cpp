// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/message_view.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace kvferry::wire {

RdmaLayoutDescriptors to_owned(const MessageView& view) {
  RdmaLayoutDescriptors owned;
  owned.worker_address = {view.worker_id, std::string{view.nixl_agent_name}};
  owned.nixl_metadata.assign(view.nixl_metadata.begin(), view.nixl_metadata.end());
  owned.layouts.reserve(view.layouts().size());
  for (const LocalLayoutView& layout : view.layouts()) {
    const std::span<const Region> regions = view.regions_of(layout);
    owned.layouts.push_back(LocalLayoutDescriptor{
        layout.handle,
        LayoutDescriptor{
            layout.version,
            layout.layout_config,
            layout.location,
            {std::string{layout.agent_name}, layout.mem_type, layout.device_id},
            {regions.begin(), regions.end()},
            layout.layout_type_details,
        },
        view.format == MessageFormat::kB ? std::optional{layout.logical_type} : std::nullopt});
  }
  return owned;
}

bool is_canonical(const MessageView& view, std::span<const std::byte> bytes) {
  return std::ranges::equal(encode(view), bytes);
}

}  // namespace kvferry::wire
