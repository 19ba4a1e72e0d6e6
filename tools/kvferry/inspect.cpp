// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "message_json.hpp"
#include "outcome.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

/// The order of a block's inside, as the message's format says it.
std::string order_text(const wire::LocalLayoutView& layout) {
  const auto& order = wire::kv_block_layout_of(layout.layout_type_details);
  return std::string{order ? to_string(order->type) : to_string(layout.layout_config.inner_shape)};
}

std::string heads_text(const layout::LayoutConfig& config) {
  return config.num_heads ? std::to_string(*config.num_heads) : "-";
}

std::string layouts_text(const wire::MessageView& view) {
  Table table{{"layout", "where", "arrangement", "blocks", "layers", "outer", "page", "inner",
               "dtype", "heads", "order", "regions", "size"}};
  for (const wire::LocalLayoutView& layout : view.layouts) {
    const layout::LayoutConfig& config = layout.layout_config;
    table.add_row({std::to_string(layout.handle.layout_id().value()), to_string(layout.location),
                   std::string{to_string(wire::arrangement_of(layout.layout_type_details))},
                   std::to_string(config.num_blocks), std::to_string(config.num_layers),
                   std::to_string(config.outer_dim), std::to_string(config.page_size),
                   std::to_string(config.inner_dim), std::to_string(config.dtype_width_bytes),
                   heads_text(config), order_text(layout), std::to_string(layout.regions_count),
                   human_bytes(config.required_bytes())});
  }
  return table.to_string();
}

std::string lint_text(const std::vector<wire::Lint>& lints) {
  Table table{{"rule", "import", "places", "first"}};
  for (const wire::Lint& lint : lints) {
    table.add_row({std::string{to_string(lint.rule)}, lint.refuses_import ? "refused" : "accepted",
                   std::to_string(lint.occurrences), lint.message});
  }
  return table.to_string();
}

void print_text(const wire::MessageView& view, std::size_t bytes, bool canonical) {
  print(fmt::format("format   {}, {}, {}\n", view.is_ambiguous ? "A or B" : to_string(view.format),
                    canonical ? "canonical" : "not canonical", human_bytes(bytes)));
  print(fmt::format("worker   {}, agent {}\n", view.worker_id.value(),
                    printable(view.nixl_agent_name)));
  print(fmt::format("blob     {}\n", human_bytes(view.nixl_metadata.size())));
  print(fmt::format("layouts  {}, with {} regions\n", view.layouts.size(), view.regions.size()));
  if (!view.layouts.empty()) {
    print("\n" + layouts_text(view));
  }
  if (const std::vector<wire::Lint> lints = lint(view); !lints.empty()) {
    print("\n" + lint_text(lints));
  }
}

Result<void> inspect(const InspectOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes,
                           read_input(options.file, wire::WireLimits{}.message_bytes));
  const auto format = format_of(options.format);
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, format
                                                             ? wire::decode_view_as(*format, bytes)
                                                             : wire::decode_view(bytes));
  const bool canonical = wire::is_canonical(view, bytes);
  if (options.json) {
    print_json({{"format", to_string(view.format)},
                {"ambiguous", view.is_ambiguous},
                {"canonical", canonical},
                {"bytes", bytes.size()},
                {"lint", lint_names(lint(view))},
                {"value", value_of(view)}});
  } else {
    print_text(view, bytes.size(), canonical);
  }
  return {};
}

}  // namespace

int run_inspect(const InspectOptions& options) {
  const Result<void> done = inspect(options);
  return done ? kExitYes : fail(Failure{done.error()}, options.json);
}

}  // namespace kvferry::tool
