// SPDX-License-Identifier: Apache-2.0
#include "kvferry/wire/envelope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "kvferry/base/try.hpp"
#include "kvferry/v1/worker_metadata.pb.h"
#include "wire/envelope_fields.hpp"
#include "wire/envelope_format.hpp"
#include "wire/envelope_frame.hpp"
#include "wire/envelope_layout.hpp"
#include "wire/text.hpp"

namespace kvferry::wire {
namespace {

namespace format = envelope_format;
using Bytes = std::span<const std::byte>;
using Worker = v1::WorkerMetadata;

using Context = EnvelopeContext;

BodyPlace in_worker(int number) {
  return {BodyMessage::kWorker, 0, static_cast<std::uint32_t>(number)};
}

Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

std::string as_string(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> as_vector(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

/// The 16 bytes in the order of the digits that an epoch is shown as.
std::string epoch_bytes(const Epoch& epoch) {
  std::string bytes(format::kEpochBytes, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(epoch.high >> (8 * (7 - i)));
    bytes[8 + i] = static_cast<char>(epoch.low >> (8 * (7 - i)));
  }
  return bytes;
}

Epoch epoch_of(std::string_view bytes) {
  Epoch epoch;
  for (std::size_t i = 0; i < 8; ++i) {
    epoch.high = (epoch.high << 8U) | static_cast<std::uint8_t>(bytes[i]);
    epoch.low = (epoch.low << 8U) | static_cast<std::uint8_t>(bytes[8 + i]);
  }
  return epoch;
}

// ---- The rules that a value must keep, for a message that is read and for one to be written.

Result<void> check_times(const Context& context, const Worker& worker) {
  if (worker.issued_unix_ms() < 0 || worker.issued_unix_ms() > format::kTimeMsMax) {
    return context.wrong(
        in_worker(Worker::kIssuedUnixMsFieldNumber),
        fmt::format("{} ms is not 0 to {}", worker.issued_unix_ms(), format::kTimeMsMax));
  }
  const auto left = static_cast<std::uint64_t>(format::kTimeMsMax - worker.issued_unix_ms());
  if (worker.lease_ms() > left) {
    return context.wrong(
        in_worker(Worker::kLeaseMsFieldNumber),
        fmt::format("{} ms, at most {} after this issue", worker.lease_ms(), left));
  }
  return {};
}

Result<void> check_worker(const Context& context, const Worker& worker) {
  if (worker.name().empty()) {
    return context.wrong(in_worker(Worker::kNameFieldNumber), "is empty");
  }
  if (worker.epoch().size() != format::kEpochBytes) {
    return context.wrong(in_worker(Worker::kEpochFieldNumber),
                         fmt::format("{} bytes of {}", worker.epoch().size(), format::kEpochBytes));
  }
  if (epoch_of(worker.epoch()) == Epoch{}) {
    return context.wrong(in_worker(Worker::kEpochFieldNumber), "is zero");
  }
  if (worker.generation() == 0) {
    return context.wrong(in_worker(Worker::kGenerationFieldNumber), "is zero");
  }
  return check_times(context, worker);
}

Result<void> check_agents(const Context& context, const Worker& worker) {
  for (int i = 0; i < worker.agents_size(); ++i) {
    const BodyPlace place{BodyMessage::kAgent, static_cast<std::size_t>(i),
                          v1::AgentBlob::kKindFieldNumber};
    const std::string& kind = worker.agents(i).kind();
    if (kind.empty()) {
      return context.wrong(place, "is empty");
    }
    for (int before = 0; before < i; ++before) {
      if (worker.agents(before).kind() == kind) {
        return context.wrong(place,
                             fmt::format("{} is that of agents[{}] too", printable(kind), before));
      }
    }
  }
  return {};
}

/// A reader that does not know a feature must not be led to believe that it understands all.
Result<void> check_features_said(const Context& context, const Worker& worker) {
  for (const std::string_view feature : features_of(worker)) {
    if (std::ranges::find(worker.required_features(), feature) ==
        worker.required_features().end()) {
      return context.wrong(in_worker(Worker::kRequiredFeaturesFieldNumber),
                           fmt::format("\"{}\", which a layout needs, is not there", feature));
    }
  }
  return {};
}

Result<void> check_values(const Context& context, const Worker& worker) {
  KVFERRY_RETURN_IF_ERROR(check_worker(context, worker));
  KVFERRY_RETURN_IF_ERROR(check_agents(context, worker));
  KVFERRY_RETURN_IF_ERROR(check_layouts(context, worker));
  return check_features_said(context, worker);
}

// ---- From values to the message.

/// The fields in front of agents and layouts.
Worker head_of(const Envelope& envelope) {
  Worker worker;
  worker.set_worker_id(envelope.worker_address.worker_id.value());
  worker.set_name(envelope.worker_address.nixl_agent_name);
  worker.set_epoch(epoch_bytes(envelope.epoch));
  worker.set_generation(envelope.generation);
  worker.set_issued_unix_ms(
      std::chrono::floor<std::chrono::milliseconds>(envelope.issued.time_since_epoch()).count());
  worker.set_lease_ms(static_cast<std::uint64_t>(envelope.lease.count()));
  worker.set_audience(envelope.audience);
  return worker;
}

Worker message_of(const Envelope& envelope) {
  Worker worker = head_of(envelope);
  for (const AgentBlob& from : envelope.agents) {
    v1::AgentBlob& to = *worker.add_agents();
    to.set_kind(from.kind);
    to.set_blob(as_string(from.blob));
  }
  for (const EnvelopeLayout& from : envelope.layouts) {
    put_layout(from, *worker.add_layouts());
  }
  for (const std::string_view feature : features_of(worker)) {
    worker.add_required_features(std::string{feature});
  }
  return worker;
}

/// Appends a field that is a message, with fields of its own that are not known here.
void append_message(std::string& body, int number, std::string message, Bytes unknown) {
  message += as_string(unknown);
  body += static_cast<char>((static_cast<unsigned>(number) << 3U) | 2U);
  std::size_t length = message.size();
  for (; length >= 0x80; length >>= 7U) {
    body += static_cast<char>((length & 0x7FU) | 0x80U);
  }
  body += static_cast<char>(length);
  body += message;
}

/// The bytes that Protocol Buffers writes, which are in the order of the numbers, and the unknown
/// fields of each message at its end. The lite runtime gives no other access to those.
std::string body_of(const Worker& worker, const Envelope& envelope) {
  Worker head = head_of(envelope);
  *head.mutable_required_features() = worker.required_features();
  std::string body = head.SerializeAsString();
  for (int i = 0; i < worker.agents_size(); ++i) {
    append_message(body, Worker::kAgentsFieldNumber, worker.agents(i).SerializeAsString(),
                   envelope.agents[static_cast<std::size_t>(i)].unknown_fields);
  }
  for (int i = 0; i < worker.layouts_size(); ++i) {
    append_message(body, Worker::kLayoutsFieldNumber, worker.layouts(i).SerializeAsString(),
                   envelope.layouts[static_cast<std::size_t>(i)].unknown_fields);
  }
  return body += as_string(envelope.unknown_fields);
}

/// Texts are looked at before they are put into the message: it prints about those that are none.
Result<void> check_text(const BodyPlace& place, std::string_view text, std::uint64_t bytes_max) {
  const std::string what = fault_of_text(text, bytes_max);
  return what.empty() ? Result<void>{} : Context{}.wrong(place, what);
}

Result<void> check_count(int number, std::size_t count, std::uint64_t limit) {
  return count <= limit
             ? Result<void>{}
             : Context{}.wrong(in_worker(number), fmt::format("{}, limit {}", count, limit));
}

/// What the message cannot hold, or what every reader's limits refuse.
Result<void> check_carriable(const Envelope& envelope, const WireLimits& limits) {
  KVFERRY_RETURN_IF_ERROR(check_text(in_worker(Worker::kNameFieldNumber),
                                     envelope.worker_address.nixl_agent_name,
                                     limits.agent_name_bytes));
  KVFERRY_RETURN_IF_ERROR(check_text(in_worker(Worker::kAudienceFieldNumber), envelope.audience,
                                     limits.agent_name_bytes));
  if (envelope.lease.count() < 0) {
    return Context{}.wrong(in_worker(Worker::kLeaseMsFieldNumber),
                           fmt::format("{} ms is negative", envelope.lease.count()));
  }
  KVFERRY_RETURN_IF_ERROR(
      check_count(Worker::kAgentsFieldNumber, envelope.agents.size(), limits.agents));
  KVFERRY_RETURN_IF_ERROR(
      check_count(Worker::kLayoutsFieldNumber, envelope.layouts.size(), limits.layouts));
  KVFERRY_RETURN_IF_ERROR(check_unknown(envelope.unknown_fields, BodyMessage::kWorker));
  for (std::size_t i = 0; i < envelope.agents.size(); ++i) {
    const AgentBlob& agent = envelope.agents[i];
    KVFERRY_RETURN_IF_ERROR(check_text({BodyMessage::kAgent, i, v1::AgentBlob::kKindFieldNumber},
                                       agent.kind, format::kWordBytesMax));
    if (agent.blob.size() > limits.nixl_metadata_bytes) {
      return Context{}.wrong(
          {BodyMessage::kAgent, i, v1::AgentBlob::kBlobFieldNumber},
          fmt::format("length {}, limit {}", agent.blob.size(), limits.nixl_metadata_bytes));
    }
    KVFERRY_RETURN_IF_ERROR(check_unknown(agent.unknown_fields, BodyMessage::kAgent));
  }
  for (std::size_t i = 0; i < envelope.layouts.size(); ++i) {
    const EnvelopeLayout& layout = envelope.layouts[i];
    if (layout.regions.size() > limits.descriptors_per_layout) {
      return Context{}.wrong(
          {BodyMessage::kLayout, i, v1::Layout::kAddressesFieldNumber},
          fmt::format("{}, limit {}", layout.regions.size(), limits.descriptors_per_layout));
    }
    KVFERRY_RETURN_IF_ERROR(check_text({BodyMessage::kLayout, i, v1::Layout::kGroupFieldNumber},
                                       layout.group, format::kWordBytesMax));
    KVFERRY_RETURN_IF_ERROR(check_text({BodyMessage::kLayout, i, v1::Layout::kPlaneFieldNumber},
                                       layout.plane, format::kWordBytesMax));
    KVFERRY_RETURN_IF_ERROR(check_text({BodyMessage::kLayout, i, v1::Layout::kModelFieldNumber},
                                       layout.model, format::kModelBytesMax));
    if (const auto* const strided = std::get_if<layout::LayoutView::Parts>(&layout.description)) {
      KVFERRY_RETURN_IF_ERROR(check_text({BodyMessage::kLayout, i, v1::Layout::kPackingFieldNumber},
                                         strided->packing, format::kWordBytesMax));
    }
    KVFERRY_RETURN_IF_ERROR(check_unknown(layout.unknown_fields, BodyMessage::kLayout));
  }
  return {};
}

/// What a description holds that the message has no place for.
Result<void> check_nothing_lost(const Envelope& envelope, const Worker& worker) {
  for (std::size_t i = 0; i < envelope.layouts.size(); ++i) {
    const EnvelopeLayout& given = envelope.layouts[i];
    EnvelopeLayout said = layout_of(worker.layouts(static_cast<int>(i)));
    said.unknown_fields = given.unknown_fields;
    if (said != given) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("layouts[{}]: holds what an envelope cannot say: an inner_shape beside "
                      "its order, regions of its strides, parts of other axes than layer "
                      "and head, or extents that contradict each other",
                      i)};
    }
  }
  return {};
}

// ---- From the message to values.

Envelope envelope_of(const Worker& worker) {
  Envelope envelope;
  envelope.worker_address = {WorkerId{worker.worker_id()}, worker.name()};
  envelope.epoch = epoch_of(worker.epoch());
  envelope.generation = worker.generation();
  envelope.issued =
      std::chrono::system_clock::time_point{std::chrono::milliseconds{worker.issued_unix_ms()}};
  envelope.lease = std::chrono::milliseconds{worker.lease_ms()};
  envelope.audience = worker.audience();
  envelope.agents.reserve(static_cast<std::size_t>(worker.agents_size()));
  for (const v1::AgentBlob& from : worker.agents()) {
    envelope.agents.push_back(AgentBlob{from.kind(), as_vector(from.blob()), {}});
  }
  envelope.layouts.reserve(static_cast<std::size_t>(worker.layouts_size()));
  for (const v1::Layout& from : worker.layouts()) {
    envelope.layouts.push_back(layout_of(from));
  }
  return envelope;
}

void put_unknown(UnknownFields unknown, Envelope& envelope) {
  envelope.unknown_fields = std::move(unknown.worker);
  for (std::size_t i = 0; i < unknown.agents.size(); ++i) {
    envelope.agents[i].unknown_fields = std::move(unknown.agents[i]);
  }
  for (std::size_t i = 0; i < unknown.layouts.size(); ++i) {
    envelope.layouts[i].unknown_fields = std::move(unknown.layouts[i]);
  }
}

}  // namespace

Result<std::vector<std::byte>> encode_envelope(const Envelope& envelope, const WireLimits& limits) {
  KVFERRY_RETURN_IF_ERROR(check_carriable(envelope, limits));
  const Worker worker = message_of(envelope);
  KVFERRY_RETURN_IF_ERROR(check_values(Context{}, worker));
  KVFERRY_RETURN_IF_ERROR(check_nothing_lost(envelope, worker));
  const std::string body = body_of(worker, envelope);
  const std::uint64_t body_bytes_max = limits.message_bytes - format::kHeaderBytes;
  if (body.size() > body_bytes_max) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("message: a body of {} bytes, limit {}", body.size(), body_bytes_max)};
  }
  return frame_body(as_bytes(body));
}

Result<Envelope> decode_envelope(Bytes bytes, const WireLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(const SignedBody opened, open_envelope(bytes, limits));
  const BodyBytes body{opened.body, body_offset(bytes)};
  KVFERRY_RETURN_IF_ERROR(check_features(body, limits));
  KVFERRY_ASSIGN_OR_RETURN(UnknownFields unknown, check_fields(body, limits));
  Worker worker;
  if (body.bytes.size() > std::numeric_limits<int>::max() ||
      !worker.ParseFromArray(body.bytes.data(), static_cast<int>(body.bytes.size()))) {
    return Error{ErrorCode::kCorrupt, fmt::format("body at {}: is not a message", body.offset)};
  }
  KVFERRY_RETURN_IF_ERROR(check_values(Context{&body}, worker));
  Envelope envelope = envelope_of(worker);
  put_unknown(std::move(unknown), envelope);
  return envelope;
}

MessageView view_of(const Envelope& envelope) {
  MessageView view;
  view.format = MessageFormat::kB;
  view.worker_id = envelope.worker_address.worker_id;
  view.nixl_agent_name = envelope.worker_address.nixl_agent_name;
  std::size_t regions_total{0};
  for (const EnvelopeLayout& from : envelope.layouts) {
    regions_total += from.regions.size();
  }
  view.arrays = ViewArrays{envelope.layouts.size(), regions_total};
  view.arrays.set_counts(envelope.layouts.size(), regions_total);
  LocalLayoutView* to = view.arrays.layouts();
  Region* regions = view.arrays.regions();
  for (const EnvelopeLayout& from : envelope.layouts) {
    LocalLayoutView& layout = *std::construct_at(to++);
    layout.handle = {view.worker_id, from.id};
    layout.logical_type = from.tier.value_or(layout.logical_type);
    layout.mem_type = mem_type_of(from.location);
    layout.layout_config = config_of(from.description);
    if (const auto* const packed = std::get_if<layout::PackedLayout>(&from.description)) {
      layout.layout_type_details = details_of(packed->arrangement);
      std::visit(
          [packed](auto& details) { details.kv_block_layout = kv_block_layout_of(packed->order); },
          layout.layout_type_details);
    } else {
      layout.strided = true;
    }
    layout.location = from.location;
    layout.is_plane = !from.plane.empty();
    layout.agent_name = view.nixl_agent_name;
    layout.device_id = from.location.id;
    layout.regions_index = static_cast<std::size_t>(regions - view.arrays.regions());
    layout.regions_count = from.regions.size();
    regions = std::ranges::copy(from.regions, regions).out;
  }
  return view;
}

}  // namespace kvferry::wire
