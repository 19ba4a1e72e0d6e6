// SPDX-License-Identifier: Apache-2.0
// Any bytes are a message of the format KVFERRY_FUZZ_FORMAT or refused with kCorrupt. What is read
// is written back to the same value in no more bytes; "canonical" means the same bytes; a message
// less or more a byte is none; views stay inside the input; only what has no layouts is ambiguous;
// lint() answers for whatever was read.
#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"

namespace kvferry::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

constexpr wire::MessageFormat kFormat = wire::MessageFormat::KVFERRY_FUZZ_FORMAT;

bool lies_in(Bytes whole, const void* data, std::size_t size) {
  const auto* const begin = static_cast<const std::byte*>(data);
  return size == 0 || (begin >= whole.data() && begin + size <= whole.data() + whole.size());
}

void check_refusal(const Error& error) {
  must(error.code == ErrorCode::kCorrupt, "what does not decode is kCorrupt");
  must(error.message.find(" at ") != std::string::npos, "a refusal says where");
}

void check_view(Bytes input, const wire::MessageView& view) {
  must(view.format == kFormat, "a view says its format");
  must(view.is_ambiguous == view.layouts().empty(), "only layouts differ between the formats");
  must(lies_in(input, view.nixl_agent_name.data(), view.nixl_agent_name.size()),
       "the worker's name lies in the input");
  must(lies_in(input, view.nixl_metadata.data(), view.nixl_metadata.size()),
       "the blob lies in the input");
  must(view.layouts().size() <= input.size() && view.regions().size() <= input.size(),
       "there are no more layouts and regions than bytes");
  std::size_t next{0};
  for (const wire::LocalLayoutView& layout : view.layouts()) {
    must(lies_in(input, layout.agent_name.data(), layout.agent_name.size()),
         "a layout's name lies in the input");
    must(layout.regions_index == next, "regions are in the order of the layouts");
    next += layout.regions_count;
  }
  must(next == view.regions().size(), "every region is of a layout");
}

void check_lints(const std::vector<wire::Lint>& lints) {
  for (const wire::Lint& lint : lints) {
    must(lint.occurrences > 0, "a rule that is named is broken somewhere");
    must(lint.message.find(": ") != std::string::npos, "a broken rule says where and how");
  }
  const auto out_of_order = [](const wire::Lint& first, const wire::Lint& second) {
    return second.rule < first.rule ||
           (second.rule == first.rule && !(first.refuses_import && !second.refuses_import));
  };
  must(std::ranges::adjacent_find(lints, out_of_order) == lints.end(),
       "rules are in order, refusals first");
}

void check_neighbours(Bytes input) {
  must(!wire::decode_view_as(kFormat, input.first(input.size() - 1)),
       "a message less a byte is none");
  std::vector<std::byte> longer{input.begin(), input.end()};
  longer.push_back(std::byte{0});
  must(!wire::decode_view_as(kFormat, longer), "a message and a byte is none");
}

}  // namespace

void one_input(Bytes input) {
  const auto view = wire::decode_view_as(kFormat, input);
  if (!view) {
    check_refusal(view.error());
    return;
  }
  check_view(input, *view);
  const std::vector<std::byte> written = wire::encode(*view);
  must(written.size() <= input.size(), "what is written takes no more bytes");
  must(wire::is_canonical(*view, input) == std::ranges::equal(written, input),
       "canonical means the same bytes");
  const auto again = wire::decode_view_as(kFormat, written);
  must(again.has_value(), "what was written is read");
  must(wire::to_owned(*again) == wire::to_owned(*view), "what was written says the same");
  must(wire::is_canonical(*again, written), "what was written is canonical");
  check_lints(wire::lint(*view));
  check_neighbours(input);
}

}  // namespace kvferry::fuzz
