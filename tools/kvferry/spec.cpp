// SPDX-License-Identifier: Apache-2.0
#include "spec.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/envelope.hpp"
#include "kvferry/wire/message_view.hpp"

namespace kvferry::tool {
namespace {

constexpr std::string_view kGeometryPrefix{"geometry:"};

std::string quoted(std::string_view text) { return "'" + std::string{text} + "'"; }

Outcome<Spec> parse_geometry_spec(std::string_view text) {
  const std::vector<std::string_view> pieces = split(text, ',');
  KVFERRY_ASSIGN_OR_RETURN(GeometrySpec spec, named_geometry(pieces.front()));
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const std::size_t equals = pieces[i].find('=');
    if (equals == std::string_view::npos) {
      return usage("geometry: " + quoted(pieces[i]) + " is not KEY=VALUE");
    }
    const std::string_view key = pieces[i].substr(0, equals + 1);
    if (std::any_of(pieces.begin() + 1, pieces.begin() + static_cast<std::ptrdiff_t>(i),
                    [key](std::string_view before) { return before.starts_with(key); })) {
      return usage("geometry: " + std::string{key.substr(0, equals)} + " is there twice");
    }
    KVFERRY_ASSIGN_OR_RETURN(
        spec, with_key(spec, pieces[i].substr(0, equals), pieces[i].substr(equals + 1)));
  }
  return Spec{spec};
}

Outcome<Spec> parse_file_spec(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view tail =
      colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (tail.empty() || tail.find_first_not_of("0123456789") != std::string_view::npos) {
    return Spec{FileSpec{std::string{text}, std::nullopt}};
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t layout_id, parse_number("layout", tail));
  return Spec{FileSpec{std::string{text.substr(0, colon)}, layout_id}};
}

/// A layout with its planes behind it, as a message says them.
Result<SpecLayout> with_planes(std::span<const SaidLayout> said,
                               const layout::Assumptions& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView view, view_of(said.front(), assumption));
  std::vector<layout::Plane> planes;
  for (const SaidLayout& plane : said.subspan(1)) {
    KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView of_plane, view_of(plane, assumption));
    planes.push_back({plane.plane, std::move(of_plane)});
  }
  KVFERRY_ASSIGN_OR_RETURN(planes, layout::side_by_side(view, std::move(planes)));
  return SpecLayout{std::move(view), std::move(planes), said.front().model, said.front().group};
}

Outcome<SpecLayout> layout_of_file(const FileSpec& spec, const layout::Assumptions& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(const SaidMessage message, read_message(spec.path));
  KVFERRY_ASSIGN_OR_RETURN(const auto found, find_layout(spec, message));
  auto all = with_planes(found, assumption);
  if (!all) {
    return std::move(all).error().with_context(spec.path);
  }
  return *std::move(all);
}

Outcome<layout::LayoutView> view_of_geometry(const GeometrySpec& spec) {
  KVFERRY_ASSIGN_OR_RETURN(const layout::PackedLayout packed, spec.packed());
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> sizes,
                           layout::required_regions(packed.config, packed.arrangement));
  std::vector<Region> regions;
  regions.reserve(sizes.size());
  for (const std::uint64_t size : sizes) {
    regions.push_back(Region{0, size});  // no memory: only offsets count
  }
  KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView view,
                           layout::packed_view(packed, std::move(regions)));
  return view;
}

}  // namespace

Outcome<layout::PackedLayout> GeometrySpec::packed() const {
  layout::PackedLayout packed;
  KVFERRY_ASSIGN_OR_RETURN(packed.layers, layout::layers_of(pp, geometry.layers));
  // A latent (MLA) is one head, which every rank holds.
  KVFERRY_ASSIGN_OR_RETURN(packed.heads, layout::heads_of(tp, geometry.heads));
  packed.arrangement = arrangement;
  packed.order = order;
  packed.config = {.num_blocks = blocks,
                   .num_layers = packed.layers.extent,
                   .outer_dim = geometry.outer_dim,
                   .page_size = page_size,
                   .inner_dim = packed.heads.extent * geometry.head_dim,
                   .dtype_width_bytes = dtype_width_bytes,
                   .num_heads = packed.heads.extent};
  return packed;
}

Result<SaidMessage> read_message(std::span<const std::byte> bytes) {
  SaidMessage message{.bytes = bytes.size()};
  if (wire::is_envelope(bytes)) {
    KVFERRY_ASSIGN_OR_RETURN(wire::Envelope envelope, wire::decode_envelope(bytes));
    message.format = "envelope";
    message.worker = std::move(envelope.worker_address);
    for (wire::EnvelopeLayout& said : envelope.layouts) {
      message.layouts.push_back({LayoutHandle{message.worker.worker_id, said.id}, said.location,
                                 std::move(said.description), std::move(said.regions),
                                 std::move(said.plane), std::move(said.model),
                                 std::move(said.group)});
    }
    return message;
  }
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, wire::decode_view(bytes));
  message.format = view.is_ambiguous ? "A or B" : std::string{to_string(view.format)};
  message.worker = {view.worker_id, std::string{view.nixl_agent_name}};
  for (const wire::LocalLayoutView& said : view.layouts()) {
    const auto regions = view.regions_of(said);
    message.layouts.push_back({said.handle,
                               said.location,
                               wire::told_layout(said.layout_config, said.layout_type_details),
                               {regions.begin(), regions.end()}});
  }
  return message;
}

Outcome<layout::Arrangement> parse_arrangement(std::string_view text) {
  if (text == "fc") {
    return layout::Arrangement::kFullyContiguous;
  }
  if (text == "ls") {
    return layout::Arrangement::kLayerSeparateBlockFirst;
  }
  if (text == "ls2") {
    return layout::Arrangement::kLayerSeparateBlockSecond;
  }
  return usage("layout: " + quoted(text) + " is not fc, ls or ls2");
}

Outcome<GeometrySpec> named_geometry(std::string_view name) {
  const Geometry* const geometry = find_geometry(name);
  if (geometry == nullptr) {
    std::string known;
    for (const Geometry& one : geometries()) {
      known.append(known.empty() ? "" : ", ").append(one.name);
    }
    return invalid("geometry: " + quoted(name) + " is none of " + known);
  }
  GeometrySpec spec;
  spec.geometry = *geometry;
  spec.page_size = geometry->page_size;
  return spec;
}

Outcome<GeometrySpec> with_key(GeometrySpec spec, std::string_view key, std::string_view value) {
  if (key == "blocks") {
    KVFERRY_ASSIGN_OR_RETURN(spec.blocks, parse_number(key, value));
  } else if (key == "layout") {
    KVFERRY_ASSIGN_OR_RETURN(spec.arrangement, parse_arrangement(value));
  } else if (key == "order") {
    KVFERRY_ASSIGN_OR_RETURN(spec.order, parse_order(value));
  } else if (key == "page") {
    KVFERRY_ASSIGN_OR_RETURN(spec.page_size, parse_number(key, value));
  } else if (key == "dtype") {
    KVFERRY_ASSIGN_OR_RETURN(spec.dtype_width_bytes, parse_number(key, value));
  } else if (key == "tp") {
    KVFERRY_ASSIGN_OR_RETURN(spec.tp, parse_rank(key, value));
  } else if (key == "pp") {
    KVFERRY_ASSIGN_OR_RETURN(spec.pp, parse_rank(key, value));
  } else {
    return usage("geometry: " + quoted(key) +
                 " is not blocks, layout, order, page, tp, pp or dtype");
  }
  return spec;
}

Outcome<Spec> parse_spec(std::string_view text) {
  if (text.starts_with(kGeometryPrefix)) {
    return parse_geometry_spec(text.substr(kGeometryPrefix.size()));
  }
  return parse_file_spec(text);
}

Outcome<SaidMessage> read_message(const std::string& path) {
  KVFERRY_ASSIGN_OR_RETURN(std::vector<std::byte> bytes,
                           read_input(path, wire::WireLimits{}.message_bytes));
  auto message = read_message(bytes);
  if (!message) {
    return std::move(message).error().with_context(path);
  }
  return *std::move(message);
}

Outcome<std::span<const SaidLayout>> find_layout(const FileSpec& spec, const SaidMessage& message) {
  const auto is_layout = [](const SaidLayout& said) { return said.plane.empty(); };
  const auto is_meant = [&](const SaidLayout& said) {
    return is_layout(said) &&
           (!spec.layout_id || said.handle.layout_id().value() == *spec.layout_id);
  };
  const auto& layouts = message.layouts;
  const auto count = std::ranges::count_if(layouts, is_layout);
  if (count == 0) {
    return invalid(spec.path + ": holds no layout");
  }
  if (!spec.layout_id && count != 1) {
    return invalid(spec.path + ": holds " + std::to_string(count) +
                   " layouts: say which one, FILE:LAYOUT_ID");
  }
  const auto first = std::ranges::find_if(layouts, is_meant);
  if (first == layouts.end()) {
    return invalid(spec.path + ": layout " + std::to_string(*spec.layout_id) + " is none of its " +
                   std::to_string(count));
  }
  return std::span{first, std::find_if(first + 1, layouts.end(), is_layout)};
}

layout::Assumptions assumptions_of(const SaidLayout& said, const layout::Assumptions& assumption) {
  return said.plane.empty() ? assumption : layout::Assumptions{.layers = assumption.layers};
}

Result<layout::LayoutView> view_of(const SaidLayout& said, const layout::Assumptions& assumption) {
  KVFERRY_ASSIGN_OR_RETURN(const layout::Description known,
                           with_assumptions(said.description, assumptions_of(said, assumption)));
  return view_of(known, said.regions);
}

Outcome<SpecLayout> layout_of(const Spec& spec, const layout::Assumptions& assumption) {
  if (const auto* const file = std::get_if<FileSpec>(&spec)) {
    return layout_of_file(*file, assumption);
  }
  KVFERRY_ASSIGN_OR_RETURN(layout::LayoutView view, view_of_geometry(std::get<GeometrySpec>(spec)));
  return SpecLayout{std::move(view)};
}

}  // namespace kvferry::tool
