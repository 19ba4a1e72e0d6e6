// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "envelope_json.hpp"
#include "files.hpp"
#include "json_values.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/envelope.hpp"
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
  for (const wire::LocalLayoutView& layout : view.layouts()) {
    const layout::LayoutConfig& config = layout.layout_config;
    table.add_row(
        {fmt::format("{}{}", layout.handle.layout_id().value(), layout.is_plane ? " plane" : ""),
         to_string(layout.location),
         layout.strided ? "strided"
                        : std::string{to_string(wire::arrangement_of(layout.layout_type_details))},
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

void print_layouts(const wire::MessageView& view) {
  print(
      fmt::format("layouts  {}, with {} regions\n", view.layouts().size(), view.regions().size()));
  if (!view.layouts().empty()) {
    print("\n" + layouts_text(view));
  }
  if (const std::vector<wire::Lint> lints = lint(view); !lints.empty()) {
    print("\n" + lint_text(lints));
  }
}

void print_text(const wire::MessageView& view, std::size_t bytes, bool canonical) {
  print(fmt::format("format   {}, {}, {}\n", view.is_ambiguous ? "A or B" : to_string(view.format),
                    canonical ? "canonical" : "not canonical", human_bytes(bytes)));
  print(fmt::format("worker   {}, agent {}\n", view.worker_id.value(),
                    printable(view.nixl_agent_name)));
  print(fmt::format("blob     {}\n", human_bytes(view.nixl_metadata.size())));
  print_layouts(view);
}

std::string time_text(std::chrono::system_clock::time_point time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(seconds));
}

void print_text(const SignedEnvelope& given, std::size_t bytes, bool canonical) {
  const auto& [envelope, signature] = given;
  print(fmt::format("format   envelope, {}, {}\n", canonical ? "canonical" : "not canonical",
                    human_bytes(bytes)));
  print(fmt::format("worker   {}, agent {}\n", envelope.worker_address.worker_id.value(),
                    printable(envelope.worker_address.nixl_agent_name)));
  print(fmt::format("life     epoch {}, generation {}\n", to_string(envelope.epoch),
                    envelope.generation));
  print(fmt::format("issued   {}, {}\n", time_text(envelope.issued),
                    envelope.lease.count() == 0
                        ? "until another one comes"
                        : fmt::format("for {} ms", envelope.lease.count())));
  print(fmt::format("for      {}\n",
                    envelope.audience.empty() ? std::string{"all"} : printable(envelope.audience)));
  print(signature ? fmt::format("signed   by {}, not checked\n", hex(signature->public_key))
                  : std::string{"signed   no\n"});
  for (const wire::AgentBlob& agent : envelope.agents) {
    print(fmt::format("blob     {}, {}\n", printable(agent.kind), human_bytes(agent.blob.size())));
  }
  print_layouts(view_of(envelope));
}

Result<void> inspect_envelope(std::span<const std::byte> bytes, bool as_json) {
  KVFERRY_ASSIGN_OR_RETURN(const SignedEnvelope envelope, read_envelope(bytes));
  const auto written = write_envelope(envelope);
  const bool canonical = written && std::ranges::equal(*written, bytes);
  if (as_json) {
    print_json({{"format", "envelope"},
                {"ambiguous", false},
                {"canonical", canonical},
                {"bytes", bytes.size()},
                {"lint", lint_names(lint(view_of(envelope.envelope)))},
                {"value", value_of(envelope)}});
  } else {
    print_text(envelope, bytes.size(), canonical);
  }
  return {};
}

Result<void> inspect(const InspectOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes,
                           read_input(options.file, wire::WireLimits{}.message_bytes));
  if (options.format == "envelope" || (options.format == "auto" && wire::is_envelope(bytes))) {
    return inspect_envelope(bytes, options.json);
  }
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
