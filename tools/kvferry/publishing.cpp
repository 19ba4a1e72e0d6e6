// SPDX-License-Identifier: Apache-2.0
#include "publishing.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "exchange_option.hpp"
#include "kvferry/base/try.hpp"
#include "words.hpp"

namespace kvferry::tool {
namespace {

using wire::MessageFormat;

/// How a format is called in an exchange, and on the command line.
struct NamedFormat {
  MessageFormat format;
  std::string_view name;
};

/// The one that says most first: B tells of heads.
constexpr std::array<NamedFormat, 2> kRichestFirst{
    {{MessageFormat::kB, "b"}, {MessageFormat::kA, "a"}}};

/// The message that says most, by its name in the exchange.
struct Richest {
  MessageFormat format{};
  exchange::Formats::const_iterator found{};
};

Result<Richest> find_richest(const exchange::Formats& published) {
  for (const NamedFormat& known : kRichestFirst) {
    if (const auto found = published.find(known.name); found != published.end()) {
      return Richest{known.format, found};
    }
  }
  return Error{ErrorCode::kUnavailable, "no message of format A or B"};
}

}  // namespace

Outcome<std::vector<MessageFormat>> parse_formats(std::string_view text) {
  std::vector<MessageFormat> formats;
  for (const std::string_view word : split(text, ',')) {
    const auto known = std::ranges::find(kRichestFirst, word, &NamedFormat::name);
    if (known == kRichestFirst.end()) {
      return usage("--publish: \"" + std::string{word} + "\" is neither a nor b");
    }
    if (std::ranges::find(formats, known->format) == formats.end()) {
      formats.push_back(known->format);
    }
  }
  return formats;
}

Result<Epoch> publish(exchange::Exchange& exchange, const Node& node, const std::string& name,
                      std::span<const MessageFormat> formats) {
  exchange::Publication publication;
  KVFERRY_ASSIGN_OR_RETURN(publication.record.epoch, draw_epoch());
  publication.record.name = name;
  publication.record.worker_id = node.manager().worker_id();
  for (const NamedFormat& known : kRichestFirst) {
    if (std::ranges::find(formats, known.format) == formats.end()) {
      continue;
    }
    KVFERRY_ASSIGN_OR_RETURN(const wire::SerializedLayout message,
                             node.manager().export_metadata(known.format));
    publication.formats.emplace(
        known.name, std::vector<std::byte>{message.as_bytes().begin(), message.as_bytes().end()});
  }
  KVFERRY_RETURN_IF_ERROR(exchange.publish(publication, exchange_deadline()));
  return publication.record.epoch;
}

Result<wire::MessageView> read_richest(const exchange::Formats& published) {
  KVFERRY_ASSIGN_OR_RETURN(const Richest richest, find_richest(published));
  return wire::decode_view_as(richest.format, richest.found->second);
}

Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name) {
  KVFERRY_ASSIGN_OR_RETURN(const exchange::FetchedWorker fetched,
                           exchange.fetch(name, exchange_deadline()));
  if (!fetched.found.alive) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " is dead"};
  }
  const auto richest = find_richest(fetched.formats);
  if (!richest) {
    return Error{richest.error().code, "worker " + name + " publishes " + richest.error().message};
  }
  KVFERRY_ASSIGN_OR_RETURN(const wire::MessageView view, read_richest(fetched.formats));
  if (view.layouts.empty()) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " has no layout for peers"};
  }
  const layout::LayoutConfig& config = view.layouts.front().layout_config;
  return PeerMessage{wire::SerializedLayout::from_bytes(richest->found->second), config.num_blocks,
                     config.page_size};
}

}  // namespace kvferry::tool
