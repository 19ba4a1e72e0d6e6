// SPDX-License-Identifier: Apache-2.0
// Any bytes are a message when they are one of format A or B. It is the one that fits, or the only
// one of both that breaks no rule, or else the preferred one; no other reading is without a breach
// beside one whose first layout names the worker's own agent; ambiguous is only what fits both.
// Written back it is read as its format again, to the same value, and unpack() says the same.
#include <algorithm>
#include <string_view>

#include "fuzz/fuzz.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

constexpr wire::MessageFormat kA = wire::MessageFormat::kA;
constexpr wire::MessageFormat kB = wire::MessageFormat::kB;

/// What the input says as one format.
struct Reading {
  Reading(wire::MessageFormat format, Bytes input) : view{wire::decode_view_as(format, input)} {
    is_clean =
        view.has_value() && std::ranges::none_of(wire::lint(*view), &wire::Lint::refuses_import);
  }

  Result<wire::MessageView> view;
  bool is_clean{false};
};

bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 = byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || is_c1) {
      return true;
    }
  }
  return false;
}

bool names_own_agent(const wire::MessageView& view) {
  const std::string_view name = view.nixl_agent_name;
  return !view.layouts().empty() && view.layouts().front().agent_name == name && !name.empty() &&
         !has_control_character(name);
}

void check_both(const Reading& a, const Reading& b) {
  must(a.view->layouts().empty() == b.view->layouts().empty(), "both formats have one header");
  must(!(names_own_agent(*a.view) && b.is_clean), "beside a named agent, B breaks a rule");
  must(!(names_own_agent(*b.view) && a.is_clean), "beside a named agent, A breaks a rule");
}

/// Whether anything speaks for one of two formats that both fit.
bool is_decided(const Reading& a, const Reading& b) {
  return a.is_clean != b.is_clean || names_own_agent(*a.view) || names_own_agent(*b.view);
}

void check_choice(const wire::MessageView& view, wire::MessageFormat preferred, const Reading& a,
                  const Reading& b) {
  const bool fits_both = a.view.has_value() && b.view.has_value();
  must(!view.is_ambiguous || fits_both, "ambiguous is only what fits both");
  must((view.format == kA ? a : b).view.has_value(), "the format that was found fits");
  if (!fits_both) {
    return;
  }
  if (view.layouts().empty() || !is_decided(a, b)) {
    must(view.is_ambiguous && view.format == preferred, "what nothing decides is as preferred");
  } else if (a.is_clean != b.is_clean) {
    must(view.format == (a.is_clean ? kA : kB), "what breaks no rule is taken");
    must(!view.is_ambiguous, "what alone breaks no rule is not ambiguous");
  }
}

void check_written(const wire::MessageView& view) {
  const std::vector<std::byte> written = wire::encode(view);
  const auto again = wire::decode_view_as(view.format, written);
  must(again.has_value(), "what was written is read as its format");
  must(wire::to_owned(*again) == wire::to_owned(view), "what was written says the same");
}

}  // namespace

void one_input(Bytes input) {
  const Reading a{kA, input};
  const Reading b{kB, input};
  if (a.view && b.view) {
    check_both(a, b);
  }
  for (const wire::MessageFormat preferred : {kA, kB}) {
    const auto view = wire::decode_view(input, {}, preferred);
    must(view.has_value() == (a.view || b.view), "a message is what fits one of the formats");
    if (!view) {
      must(view.error() == a.view.error() || view.error() == b.view.error(),
           "a refusal is that of one of the formats");
      continue;
    }
    must(wire::to_owned(*view) == wire::to_owned(*(view->format == kA ? a : b).view),
         "the view says what its format says");
    check_choice(*view, preferred, a, b);
    check_written(*view);
  }
  const auto owned = wire::SerializedLayout::from_bytes({input.begin(), input.end()}).unpack();
  const auto view = wire::decode_view(input);
  must(owned.has_value() == view.has_value(), "unpack() reads what decode_view() reads");
  must(owned ? *owned == wire::to_owned(*view) : owned.error() == view.error(),
       "unpack() says what decode_view() says");
}

}  // namespace kvferry::fuzz
