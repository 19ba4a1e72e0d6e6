// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "commands.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/packed.hpp"
#include "map_drawing.hpp"
#include "nesting.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "spec.hpp"

namespace kvferry::tool {
namespace {

using layout::Axis;

std::string shape_text(const layout::LayoutConfig& config) {
  std::string heads =
      config.num_heads ? counted(*config.num_heads, "head") : std::string{"heads not told"};
  return fmt::format("{} x {} x {} outer x {} x {} of {} B ({}); {} in all",
                     counted(config.num_blocks, "block"), counted(config.num_layers, "layer"),
                     config.outer_dim, counted(config.page_size, "token"),
                     counted(config.inner_dim, "element"), config.dtype_width_bytes, heads,
                     size_text(config.required_bytes()));
}

/// Arrangement and order, or that every stride is said.
std::string placement_text(const layout::Description& description) {
  const auto* const packed = std::get_if<layout::PackedLayout>(&description);
  if (packed == nullptr) {
    return "strided";
  }
  return fmt::format("{}, order {}", to_string(packed->arrangement),
                     packed->order ? to_string(*packed->order) : "Unknown");
}

/// Which part of the model it is; empty for all of it.
std::string part_text(const layout::LayoutView& view) {
  const layout::AxisSpan& layers = view.axis(Axis::kLayer);
  const layout::AxisSpan& heads = view.axis(Axis::kHead);
  if (layers.extent == layers.whole && heads.extent == heads.whole) {
    return {};
  }
  return fmt::format("holds layers {} to {} of the model's {}, heads {} to {} of {}", layers.origin,
                     layers.origin + layers.extent - 1, layers.whole, heads.origin,
                     heads.origin + heads.extent - 1, heads.whole);
}

/// Whose blocks they are; empty where nothing is told.
std::string meaning_text(const SaidLayout& said) {
  const std::string model = said.model.empty() ? "" : "model " + printable(said.model);
  const std::string group = said.group.empty() ? "" : "group " + printable(said.group);
  return model + (model.empty() || group.empty() ? "" : ", ") + group;
}

std::string contents_text(std::span<const SaidLayout> layouts) {
  const auto planes = static_cast<std::size_t>(
      std::ranges::count_if(layouts, [](const SaidLayout& said) { return !said.plane.empty(); }));
  return counted(layouts.size() - planes, "layout") +
         (planes == 0 ? "" : " with " + counted(planes, "plane"));
}

MapLayout map_of(const SaidLayout& said, const layout::Assumptions& assumption) {
  MapLayout map;
  map.title = fmt::format("Layout {}{}: {}, {}", said.handle.layout_id().value(),
                          said.plane.empty() ? "" : ", plane " + printable(said.plane),
                          to_string(said.location), placement_text(said.description));
  map.facts.push_back(shape_text(config_of(said.description)));
  if (const std::string meaning = meaning_text(said); said.plane.empty() && !meaning.empty()) {
    map.facts.push_back(meaning);
  }
  if (const auto assumed = assumptions_of(said, assumption); !assumed.is_empty()) {
    map.facts.push_back("assumed: " + to_string(assumed));
  }
  map.has_memory = true;
  auto view = view_of(said, assumption);
  if (!view) {
    map.refusal = view.error().message;
    return map;
  }
  if (const std::string part = part_text(*view); !part.empty()) {
    map.facts.push_back(part);
  }
  map.view = *std::move(view);
  return map;
}

/// Fails when there are layouts, and none that can be drawn.
Outcome<MapContent> content_of(const FileSpec& spec, const layout::Assumptions& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(const SaidMessage message, read_message(spec.path));
  std::span<const SaidLayout> layouts{message.layouts};
  if (spec.layout_id) {
    KVFERRY_ASSIGN_OR_RETURN(layouts, find_layout(spec, message));
  }
  MapContent content;
  content.title = fmt::format("Memory map of worker {}", message.worker.worker_id.value());
  content.facts.push_back(fmt::format("agent {}; message of format {}, {}; {} in it",
                                      printable(message.worker.nixl_agent_name), message.format,
                                      size_text(message.bytes), contents_text(message.layouts)));
  const std::size_t drawn = std::min(layouts.size(), kDrawnLayouts);
  for (const SaidLayout& layout : layouts.first(drawn)) {
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
  KVFERRY_ASSIGN_OR_RETURN(SpecLayout made, layout_of(Spec{spec}, layout::Assumptions{}));
  map.view = std::move(made.view);
  map.title = std::string{to_string(packed.arrangement)};
  map.facts.push_back(shape_text(packed.config));
  if (const std::string part = part_text(*map.view); !part.empty()) {
    map.facts.push_back(part);
  }
  MapContent content;
  content.title = fmt::format("Memory map of {}", text);
  content.layouts.push_back(std::move(map));
  return content;
}

Outcome<int> draw(const DrawOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Spec spec, parse_spec(options.spec));
  const auto* const file = std::get_if<FileSpec>(&spec);
  layout::Assumptions assumption;
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
  print(fmt::format("{}: {} of {} layouts and planes drawn\n", options.output,
                    content.layouts.size(), content.layouts.size() + content.layouts_left_out));
  return kExitYes;
}

}  // namespace

int run_draw(const DrawOptions& options) {
  const Outcome<int> done = draw(options);
  return done ? *done : fail(done.error());
}

}  // namespace kvferry::tool
