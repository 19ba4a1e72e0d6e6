// SPDX-License-Identifier: Apache-2.0
// The decoder and a slow reader of its own take the same messages of format A and read the same
// values, under the default limits and under tight ones; both writers write the same bytes.
#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "fuzz/reference_reader.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::fuzz {
namespace {

void compare(std::span<const std::byte> input, const wire::WireLimits& limits) {
  const auto expected = read_reference(input, limits);
  const auto view = wire::decode_view_as(wire::MessageFormat::kA, input, limits);
  must(view.has_value() == expected.has_value(), "the view is there when the reference reads");
  if (!expected) {
    return;
  }
  must(wire::to_owned(*view) == *expected, "the view says what the reference reads");
  const auto packed = wire::SerializedLayout::pack(expected->worker_address,
                                                   expected->nixl_metadata, expected->layouts);
  must(packed.has_value(), "what was read can be packed");
  must(std::ranges::equal(packed->as_bytes(), wire::encode(*view)), "both writers write the same");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  compare(input, wire::WireLimits{});
  compare(input, wire::WireLimits{.message_bytes = 512,
                                  .agent_name_bytes = 8,
                                  .nixl_metadata_bytes = 16,
                                  .layouts = 2,
                                  .descriptors_per_layout = 3});
}

}  // namespace kvferry::fuzz
