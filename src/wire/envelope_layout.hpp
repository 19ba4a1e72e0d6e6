// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kvferry/base/result.hpp"
#include "kvferry/wire/envelope.hpp"
#include "wire/envelope_fields.hpp"

// One layout of an envelope: values, the message they become, and the rules that both keep.

namespace kvferry::v1 {
class Layout;
class WorkerMetadata;
}  // namespace kvferry::v1

namespace kvferry::wire {

/// What must be known of a value to say what is wrong with it: null while one is written.
struct EnvelopeContext {
  const BodyBytes* body{nullptr};

  [[nodiscard]] Error wrong(const BodyPlace& place, std::string_view what) const;
};

/// Sees that every layout keeps the rules that a reader can check without knowing the memory.
///
/// Errors: kCorrupt, while reading, or kInvalidArgument, naming the field.
[[nodiscard]] Result<void> check_layouts(const EnvelopeContext& context,
                                         const v1::WorkerMetadata& worker);

/// What readers must know to understand the layouts of `worker`, in the order of kFeatures.
[[nodiscard]] std::vector<std::string_view> features_of(const v1::WorkerMetadata& worker);

void put_layout(const EnvelopeLayout& from, v1::Layout& to);

/// Of a message whose layouts keep the rules. Fields that are not known are left out.
[[nodiscard]] EnvelopeLayout layout_of(const v1::Layout& from);

}  // namespace kvferry::wire
