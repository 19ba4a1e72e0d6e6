// SPDX-License-Identifier: Apache-2.0
#include "publishing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "envelope_json.hpp"
#include "exchange_option.hpp"
#include "kvferry/base/try.hpp"
#include "output.hpp"
#include "words.hpp"

namespace kvferry::tool {
namespace {

/// How a format is called in an exchange, and on the command line.
struct NamedFormat {
  PublishedFormat format;
  std::string_view file;
  std::string_view name;
};

/// The one that says most first: an envelope tells of access and guards, B of heads.
constexpr std::array<NamedFormat, 3> kRichestFirst{
    {{PublishedFormat::kEnvelope, kEnvelopeFile, "envelope"},
     {PublishedFormat::kB, "b", "b"},
     {PublishedFormat::kA, "a", "a"}}};

/// The poorest of `formats`, which is tried last.
PublishedFormat last_of(std::span<const PublishedFormat> formats) {
  const auto last = std::ranges::find_if(
      kRichestFirst.rbegin(), kRichestFirst.rend(), [formats](const NamedFormat& known) {
        return std::ranges::find(formats, known.format) != formats.end();
      });
  return last->format;
}

Result<std::vector<std::byte>> export_as(PublishedFormat format, const Node& node,
                                         const Sealing& seal) {
  if (format == PublishedFormat::kEnvelope) {
    KVFERRY_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, node.manager().export_envelope());
    return seal ? seal(bytes) : bytes;
  }
  KVFERRY_ASSIGN_OR_RETURN(
      const wire::SerializedLayout message,
      node.manager().export_metadata(format == PublishedFormat::kB ? wire::MessageFormat::kB
                                                                   : wire::MessageFormat::kA));
  return std::vector<std::byte>{message.as_bytes().begin(), message.as_bytes().end()};
}

Result<ReadMessage> read_as(PublishedFormat format, std::span<const std::byte> bytes) {
  ReadMessage read{.bytes = bytes};
  if (format == PublishedFormat::kEnvelope) {
    KVFERRY_ASSIGN_OR_RETURN(wire::Envelope envelope, wire::decode_envelope(bytes));
    read.envelope = std::make_unique<const wire::Envelope>(std::move(envelope));
    read.view = view_of(*read.envelope);
    return read;
  }
  KVFERRY_ASSIGN_OR_RETURN(
      read.view, wire::decode_view_as(format == PublishedFormat::kB ? wire::MessageFormat::kB
                                                                    : wire::MessageFormat::kA,
                                      bytes));
  return read;
}

}  // namespace

std::string_view format_name(std::string_view file) noexcept {
  const auto known = std::ranges::find(kRichestFirst, file, &NamedFormat::file);
  return known == kRichestFirst.end() ? file : known->name;
}

Outcome<std::vector<PublishedFormat>> parse_formats(std::string_view text) {
  std::vector<PublishedFormat> formats;
  for (const std::string_view word : split(text, ',')) {
    const auto known = std::ranges::find(kRichestFirst, word, &NamedFormat::name);
    if (known == kRichestFirst.end()) {
      return usage("--publish: \"" + std::string{word} + "\" is none of a, b and envelope");
    }
    if (std::ranges::find(formats, known->format) == formats.end()) {
      formats.push_back(known->format);
    }
  }
  return formats;
}

Result<Epoch> publish(exchange::Exchange& exchange, const Node& node, const std::string& name,
                      std::span<const PublishedFormat> formats, const Sealing& seal) {
  exchange::Publication publication;
  publication.record.name = name;
  publication.record.worker_id = node.manager().worker_id();
  publication.record.epoch = node.manager().epoch();
  publication.record.generation = node.manager().generation();
  for (const NamedFormat& known : kRichestFirst) {
    if (std::ranges::find(formats, known.format) == formats.end()) {
      continue;
    }
    Result<std::vector<std::byte>> bytes = export_as(known.format, node, seal);
    const bool others = known.format != last_of(formats) || !publication.formats.empty();
    if (!bytes && bytes.error().code == ErrorCode::kIncompatible && others) {
      print_error(fmt::format("kvferry: not published: {}\n", bytes.error().message));
      continue;
    }
    KVFERRY_RETURN_IF_ERROR(bytes);
    publication.formats.emplace(known.file, *std::move(bytes));
  }
  KVFERRY_RETURN_IF_ERROR(exchange.publish(publication, exchange_deadline()));
  return publication.record.epoch;
}

Result<ReadMessage> read_richest(const exchange::Formats& published) {
  Error why{ErrorCode::kUnavailable, "no message of format A, B or an envelope"};
  for (const NamedFormat& known : kRichestFirst) {
    const auto found = published.find(known.file);
    if (found == published.end()) {
      continue;
    }
    Result<ReadMessage> read = read_as(known.format, found->second);
    if (read || read.error().code != ErrorCode::kIncompatible) {
      return read;
    }
    why = std::move(read).error();  // Of a newer writer; it may publish something simpler beside.
  }
  return why;
}

Result<PeerMessage> fetch_peer(exchange::Exchange& exchange, const std::string& name,
                               TimePoint deadline) {
  KVFERRY_ASSIGN_OR_RETURN(const exchange::FetchedWorker fetched,
                           exchange.fetch(name, std::min(deadline, exchange_deadline())));
  if (!fetched.found.alive) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " is dead"};
  }
  const auto richest = read_richest(fetched.formats);
  if (!richest && richest.error().code == ErrorCode::kUnavailable) {
    return Error{richest.error().code, "worker " + name + " publishes " + richest.error().message};
  }
  if (!richest) {
    return richest.error();
  }
  if (richest->view.layouts().empty()) {
    return Error{ErrorCode::kUnavailable, "worker " + name + " has no layout for peers"};
  }
  const layout::LayoutConfig& config = richest->view.layouts().front().layout_config;
  return PeerMessage{
      wire::SerializedLayout::from_bytes({richest->bytes.begin(), richest->bytes.end()}),
      config.num_blocks, config.page_size};
}

}  // namespace kvferry::tool
