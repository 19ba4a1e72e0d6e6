// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/serialized_layout.hpp"

#include <fmt/format.h>

#include "kvferry/base/try.hpp"
#include "kvferry/wire/message_view.hpp"
#include "wire/encoder.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {

Result<SerializedLayout> SerializedLayout::pack(const WorkerAddress& worker_address,
                                                std::span<const std::byte> nixl_metadata,
                                                std::span<const LocalLayoutDescriptor> layouts,
                                                MessageFormat format) {
  const std::string& name = worker_address.nixl_agent_name;
  if (!is_utf8(name)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("worker_address.nixl_agent_name: not UTF-8 after {} of {} bytes",
                             valid_utf8_prefix(name), name.size())};
  }
  KVFERRY_RETURN_IF_ERROR(check_carriable(layouts, format));
  return SerializedLayout{encode_owned(worker_address, nixl_metadata, layouts, format)};
}

Result<RdmaLayoutDescriptors> SerializedLayout::unpack(const WireLimits& limits) const {
  KVFERRY_ASSIGN_OR_RETURN(const MessageView view, decode_view(bytes_, limits));
  return to_owned(view);
}

std::string SerializedLayout::debug_string() const {
  return fmt::format("SerializedLayout {{ size_bytes: {} }}", bytes_.size());
}

}  // namespace kvferry::wire
