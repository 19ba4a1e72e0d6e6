// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "commands.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/packed.hpp"
#include "kvferry/wire/metadata.hpp"
#include "map_drawing.hpp"
#include "nesting.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "spec.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;

/// The order of a block that NHD and HND do not say.
std::optional<layout::BlockAxes> wider_order(const wire::LayoutTypeDetails& details) {
  constexpr std::array<Axis, 4> kAxisOfDim{Axis::kLayer, Axis::kOuter, Axis::kToken, Axis::kHead};
  const auto& order = wire::kv_block_layout_of(details);
  if (!order || wire::arrangement_of(details) != layout::Arrangement::kFullyContiguous) {
    return std::nullopt;
  }
  layout::BlockAxes axes{};
  switch (order->type) {
    case wire::KvBlockLayout::Type::kUniversalTp: return layout::kUniversalTp;
    case wire::KvBlockLayout::Type::kUniversalPp: return layout::kUniversalPp;
    case wire::KvBlockLayout::Type::kCustom:
      std::ranges::transform(order->custom, axes.begin(), [&](wire::BlockDim dim) {
        return kAxisOfDim[static_cast<std::size_t>(dim)];
      });
      return axes;
    default: return std::nullopt;
  }
}

/// The view of a message's layout, in any order that it can have: nothing moves here.
Outcome<layout::LayoutView> drawn_view(const wire::LayoutDescriptor& layout,
                                       const Assumption& assumption) {
  const auto order = wider_order(layout.layout_type_details);
  if (!order) {
    return view_of(layout, assumption);
  }
  KVFERRY_ASSIGN_OR_RETURN(const layout::LayoutConfig config,
                           assumption.applied_to(layout.layout_config));
  if (!config.num_heads) {
    return invalid(
        "num_heads: not told, which the order of a block needs; say what you know: "
        "--assume heads=N");
  }
  KVFERRY_ASSIGN_OR_RETURN(
      layout::LayoutView view,
      layout::packed_view({.config = config, .order = *order}, layout.memory_descriptors));
  return view;
}

std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string shape_text(const layout::LayoutConfig& config) {
  std::string heads =
      config.num_heads ? counted(*config.num_heads, "head") : std::string{"heads not told"};
  return fmt::format("{} x {} x {} outer x {} x {} of {} B ({}); {} in all",
                     counted(config.num_blocks, "block"), counted(config.num_layers, "layer"),
                     config.outer_dim, counted(config.page_size, "token"),
                     counted(config.inner_dim, "element"), config.dtype_width_bytes, heads,
                     size_text(config.required_bytes()));
}

std::string order_text(const wire::LayoutDescriptor& layout) {
  const auto& order = wire::kv_block_layout_of(layout.layout_type_details);
  return std::string{order ? to_string(order->type) : to_string(layout.layout_config.inner_shape)};
}

MapLayout map_of(const wire::LocalLayoutDescriptor& local, const Assumption& assumption) {
  const wire::LayoutDescriptor& layout = local.layout;
  MapLayout map;
  map.title = fmt::format(
      "Layout {}: {}, {}, order {}", local.handle.layout_id().value(), to_string(layout.location),
      to_string(wire::arrangement_of(layout.layout_type_details)), order_text(layout));
  map.facts.push_back(shape_text(layout.layout_config));
  if (!assumption.is_empty()) {
    map.facts.push_back("assumed: " + assumption.text());
  }
  map.has_memory = true;
  auto view = drawn_view(layout, assumption);
  if (view) {
    map.view = *std::move(view);
  } else {
    map.refusal = view.error().message;
  }
  return map;
}

/// Fails when there are layouts, and none that can be drawn.
Outcome<MapContent> content_of(const FileSpec& spec, const Assumption& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(const Message message, read_message(spec.path));
  std::span<const wire::LocalLayoutDescriptor> layouts{message.value.layouts};
  if (spec.layout_id) {
    KVFERRY_ASSIGN_OR_RETURN(const wire::LocalLayoutDescriptor* const one,
                             find_layout(spec, message.value));
    layouts = {one, 1};
  }
  MapContent content;
  content.title =
      fmt::format("Memory map of worker {}", message.value.worker_address.worker_id.value());
  content.facts.push_back(fmt::format(
      "agent {}; message of format {}, {}; {} in it",
      printable(message.value.worker_address.nixl_agent_name), message.format,
      size_text(message.bytes),
      message.value.layouts.size() == 1 ? std::string{"one layout"}
                                        : fmt::format("{} layouts", message.value.layouts.size())));
  const std::size_t drawn = std::min(layouts.size(), kDrawnLayouts);
  for (const wire::LocalLayoutDescriptor& layout : layouts.first(drawn)) {
    content.layouts.push_back(map_of(layout, assumption));
  }
  content.layouts_left_out = layouts.size() - drawn;
  if (!layouts.empty() && std::ranges::none_of(content.layouts, [](const MapLayout& layout) {
        return layout.view.has_value();
      })) {
    return invalid(fmt::format("{}: layout {}: {}", spec.path,
                               layouts.front().handle.layout_id().value(),
                               content.layouts.front().refusal));
  }
  return content;
}

Outcome<MapContent> content_of(const GeometrySpec& spec, std::string_view text) {
  KVFERRY_ASSIGN_OR_RETURN(const layout::PackedLayout packed, spec.packed());
  MapLayout map;
  KVFERRY_ASSIGN_OR_RETURN(map.view, view_of(Spec{spec}, Assumption{}));
  map.title = std::string{to_string(packed.arrangement)};
  map.facts.push_back(shape_text(packed.config));
  if (packed.layers.extent != packed.layers.whole || packed.heads.extent != packed.heads.whole) {
    map.facts.push_back(fmt::format(
        "holds layers {} to {} of the model's {}, heads {} to {} of {}", packed.layers.origin,
        packed.layers.origin + packed.layers.extent - 1, packed.layers.whole, packed.heads.origin,
        packed.heads.origin + packed.heads.extent - 1, packed.heads.whole));
  }
  MapContent content;
  content.title = fmt::format("Memory map of {}", text);
  content.layouts.push_back(std::move(map));
  return content;
}

Outcome<int> draw(const DrawOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Spec spec, parse_spec(options.spec));
  const auto* const file = std::get_if<FileSpec>(&spec);
  Assumption assumption;
  if (options.assume) {
    KVFERRY_ASSIGN_OR_RETURN(assumption, parse_assumption(*options.assume));
    if (file == nullptr) {
      return usage("assume: " + options.spec + " is no message");
    }
  }
  KVFERRY_ASSIGN_OR_RETURN(const MapContent content,
                           file != nullptr
                               ? content_of(*file, assumption)
                               : content_of(std::get<GeometrySpec>(spec), options.spec));
  const std::string drawing = draw_map(content);
  if (options.output == "-") {
    print(drawing);
    return kExitYes;
  }
  KVFERRY_RETURN_IF_ERROR(
      replace_output(options.output, std::as_bytes(std::span{drawing.data(), drawing.size()})));
  print(fmt::format("{}: {} of {} layouts drawn\n", options.output, content.layouts.size(),
                    content.layouts.size() + content.layouts_left_out));
  return kExitYes;
}

}  // namespace

int run_draw(const DrawOptions& options) {
  const Outcome<int> done = draw(options);
  return done ? *done : fail(done.error());
}

}  // namespace kvferry::tool
