// SPDX-License-Identifier: Apache-2.0
// Any text is a SPEC or a wrong command line. A SPEC written in full is read again the same; a
// geometry gives a view exactly when its numbers are in range. No file is opened.
#include "spec.hpp"

#include "fuzz/fuzz.hpp"
#include "output.hpp"

namespace kvferry::fuzz {
namespace {

std::string_view word_of(layout::Arrangement arrangement) {
  switch (arrangement) {
    case layout::Arrangement::kFullyContiguous: return "fc";
    case layout::Arrangement::kLayerSeparateBlockFirst: return "ls";
    case layout::Arrangement::kLayerSeparateBlockSecond: return "ls2";
  }
  return "unknown";
}

std::string_view word_of(const layout::BlockAxes& order) {
  if (order == layout::kUniversalTp || order == layout::kUniversalPp) {
    return order == layout::kUniversalTp ? "utp" : "upp";
  }
  return order == layout::kHnd ? "hnd" : "nhd";
}

std::string text_of(const layout::Rank& rank) {
  return std::to_string(rank.rank) + "/" + std::to_string(rank.ranks);
}

std::string text_of(const tool::GeometrySpec& spec) {
  return "geometry:" + std::string{spec.geometry.name} + ",blocks=" + std::to_string(spec.blocks) +
         ",layout=" + std::string{word_of(spec.arrangement)} +
         ",order=" + std::string{word_of(spec.order)} + ",page=" + std::to_string(spec.page_size) +
         ",dtype=" + std::to_string(spec.dtype_width_bytes) + ",tp=" + text_of(spec.tp) +
         ",pp=" + text_of(spec.pp);
}

/// Whether regions can be found for what is meant: then it has a view.
bool is_layout(const tool::GeometrySpec& spec) {
  const auto packed = spec.packed();
  return packed.has_value() && packed->config.validate().has_value() &&
         (spec.arrangement == layout::Arrangement::kFullyContiguous || spec.order == layout::kNhd ||
          spec.order == layout::kHnd);
}

void check_geometry(const tool::GeometrySpec& spec) {
  const auto again = tool::parse_spec(text_of(spec));
  must(again.has_value(), "a geometry written in full is read");
  const auto* const same = std::get_if<tool::GeometrySpec>(&*again);
  must(same != nullptr && *same == spec, "a geometry written in full says the same");
  const auto view = tool::layout_of(tool::Spec{spec}, {});
  must(view.has_value() == is_layout(spec), "a geometry in range has a view, and no other");
}

void check_file(std::string_view text, const tool::FileSpec& spec) {
  if (!spec.layout_id) {
    must(spec.path == text, "a path without a layout is the text");
    return;
  }
  must(text.starts_with(spec.path + ":"), "the path stands in front of the layout");
  const auto again = tool::parse_spec(spec.path + ":" + std::to_string(*spec.layout_id));
  const auto* const same = again ? std::get_if<tool::FileSpec>(&*again) : nullptr;
  must(same != nullptr && same->path == spec.path && same->layout_id == spec.layout_id,
       "a path and a layout are read again");
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  const std::string_view text = as_text(input);
  const auto spec = tool::parse_spec(text);
  if (!spec) {
    const int code = spec.error().exit_code;
    must(code == tool::kExitUsage || code == tool::kExitInvalid, "a wrong SPEC is wrong words");
    must(!spec.error().message.empty(), "a refusal says why");
  } else if (const auto* const geometry = std::get_if<tool::GeometrySpec>(&*spec)) {
    check_geometry(*geometry);
  } else {
    check_file(text, std::get<tool::FileSpec>(*spec));
  }
}

}  // namespace kvferry::fuzz
