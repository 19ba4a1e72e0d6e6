// SPDX-License-Identifier: Apache-2.0
#include "envelope_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "description_json.hpp"
#include "json_values.hpp"
#include "kvferry/base/try.hpp"

namespace kvferry::tool {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using wire::LogicalType;

constexpr std::array<Named<Access>, 2> kAccesses{
    {{"read", Access::kRead}, {"read-write", Access::kReadWrite}}};
constexpr std::array<Named<LogicalType>, 4> kTiers{{{"G1", LogicalType::kG1},
                                                    {"G2", LogicalType::kG2},
                                                    {"G3", LogicalType::kG3},
                                                    {"G4", LogicalType::kG4}}};
/// Words of a layout that are there only where they say something.
constexpr std::array<std::pair<const char*, std::string wire::EnvelopeLayout::*>, 3> kWords{
    {{"model", &wire::EnvelopeLayout::model},
     {"group", &wire::EnvelopeLayout::group},
     {"plane", &wire::EnvelopeLayout::plane}}};

// ---- To JSON.

ordered_json region_json(const Region& region) {
  return {{"address", integer(region.address)}, {"size", integer(region.size_bytes)}};
}

void put_unknown(const std::vector<std::byte>& fields, ordered_json& value) {
  if (!fields.empty()) {
    value["unknown_fields"] = hex(fields);
  }
}

ordered_json layout_json(const wire::EnvelopeLayout& layout) {
  ordered_json value{{"id", layout.id.value()},
                     {"storage", location_json(layout.location)},
                     {"access", name_of(kAccesses, layout.access)},
                     {"tier", nullptr},
                     {"arrangement", nullptr},
                     {"config", nullptr},
                     {"regions", ordered_json::array()},
                     {"guards", nullptr}};
  if (layout.tier) {
    value["tier"] = name_of(kTiers, *layout.tier);
  }
  put_description(layout.description, value);
  for (const auto& [name, word] : kWords) {
    if (!(layout.*word).empty()) {
      value[name] = layout.*word;
    }
  }
  for (const Region& region : layout.regions) {
    value["regions"].push_back(region_json(region));
  }
  if (layout.guards) {
    value["guards"] = region_json(*layout.guards);
  }
  put_unknown(layout.unknown_fields, value);
  return value;
}

// ---- From JSON.

/// Hexadecimal digits under a key; nothing when it is not there.
Result<std::vector<std::byte>> read_unknown(const json& object, const std::string& path) {
  const auto found = object.find("unknown_fields");
  return found == object.end() ? Result<std::vector<std::byte>>{std::vector<std::byte>{}}
                               : read_hex(*found, path + ".unknown_fields");
}

Result<Region> read_region(const json& node, const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(check_keys(node, {"address", "size"}, path));
  Region region;
  KVFERRY_ASSIGN_OR_RETURN(region.address, read_number(node, "address", path));
  KVFERRY_ASSIGN_OR_RETURN(region.size_bytes, read_number(node, "size", path));
  return region;
}

Result<StorageKind> read_storage(const json& node, const std::string& path) {
  if (node == "System") {
    return StorageKind::system();
  }
  if (node == "Pinned") {
    return StorageKind::pinned();
  }
  for (const auto& [name, type] : {std::pair{"Device", StorageKind::Type::kDevice},
                                   std::pair{"Disk", StorageKind::Type::kDisk}}) {
    if (node.is_object() && node.size() == 1 && node.contains(name)) {
      KVFERRY_ASSIGN_OR_RETURN(const auto id, read_number(node, name, path));
      return StorageKind{type, id};
    }
  }
  return wrong(path, fmt::format("{} is not known here", node.dump()));
}

Result<void> read_places(const json& node, const std::string& path, wire::EnvelopeLayout& layout) {
  KVFERRY_ASSIGN_OR_RETURN(const json* regions, member(node, "regions", path));
  if (!regions->is_array()) {
    return wrong(path + ".regions", "not an array");
  }
  for (std::size_t i = 0; i < regions->size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(const Region region,
                             read_region((*regions)[i], fmt::format("{}.regions[{}]", path, i)));
    layout.regions.push_back(region);
  }
  KVFERRY_ASSIGN_OR_RETURN(const json* guards, member(node, "guards", path));
  if (!guards->is_null()) {
    KVFERRY_ASSIGN_OR_RETURN(layout.guards, read_region(*guards, path + ".guards"));
  }
  return {};
}

Result<wire::EnvelopeLayout> read_layout(const json& node, const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(
      check_keys(node,
                 {"id", "storage", "access", "tier", "arrangement", "config", "layers", "heads",
                  "strides", "model", "group", "plane", "regions", "guards", "unknown_fields"},
                 path));
  wire::EnvelopeLayout layout;
  KVFERRY_ASSIGN_OR_RETURN(const auto id, read_number(node, "id", path, 0xFFFF));
  layout.id = LayoutId{static_cast<std::uint16_t>(id)};
  KVFERRY_ASSIGN_OR_RETURN(const json* storage, member(node, "storage", path));
  KVFERRY_ASSIGN_OR_RETURN(layout.location, read_storage(*storage, path + ".storage"));
  KVFERRY_ASSIGN_OR_RETURN(const json* access, member(node, "access", path));
  KVFERRY_ASSIGN_OR_RETURN(layout.access, read_named(*access, kAccesses, path + ".access"));
  KVFERRY_ASSIGN_OR_RETURN(const json* tier, member(node, "tier", path));
  if (!tier->is_null()) {
    KVFERRY_ASSIGN_OR_RETURN(layout.tier, read_named(*tier, kTiers, path + ".tier"));
  }
  KVFERRY_ASSIGN_OR_RETURN(layout.description, read_description(node, path));
  for (const auto& [name, word] : kWords) {
    if (node.contains(name)) {
      KVFERRY_ASSIGN_OR_RETURN(const std::string* const text, read_text(node, name, path));
      layout.*word = *text;
    }
  }
  KVFERRY_RETURN_IF_ERROR(read_places(node, path, layout));
  KVFERRY_ASSIGN_OR_RETURN(layout.unknown_fields, read_unknown(node, path));
  return layout;
}

Result<wire::AgentBlob> read_agent(const json& node, const std::string& path) {
  KVFERRY_RETURN_IF_ERROR(check_keys(node, {"kind", "blob", "unknown_fields"}, path));
  wire::AgentBlob agent;
  KVFERRY_ASSIGN_OR_RETURN(const std::string* kind, read_text(node, "kind", path));
  agent.kind = *kind;
  KVFERRY_ASSIGN_OR_RETURN(const json* blob, member(node, "blob", path));
  KVFERRY_ASSIGN_OR_RETURN(agent.blob, read_hex(*blob, path + ".blob"));
  KVFERRY_ASSIGN_OR_RETURN(agent.unknown_fields, read_unknown(node, path));
  return agent;
}

/// Hexadecimal digits of exactly as many bytes as `out` has.
Result<void> read_exactly(const json& object, const std::string& key, const std::string& path,
                          std::span<std::byte> out) {
  KVFERRY_ASSIGN_OR_RETURN(const json* node, member(object, key, path));
  const std::string whole = fmt::format("{}.{}", path, key);
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes, read_hex(*node, whole));
  if (bytes.size() != out.size()) {
    return wrong(whole, fmt::format("{} hex digits of {}", 2 * bytes.size(), 2 * out.size()));
  }
  std::ranges::copy(bytes, out.begin());
  return {};
}

Result<Epoch> read_epoch(const json& value) {
  std::array<std::byte, 16> bytes{};
  KVFERRY_RETURN_IF_ERROR(read_exactly(value, "epoch", "value", bytes));
  Epoch epoch;
  for (std::size_t i = 0; i < 8; ++i) {
    epoch.high = epoch.high << 8U | std::to_integer<std::uint64_t>(bytes[i]);
    epoch.low = epoch.low << 8U | std::to_integer<std::uint64_t>(bytes[8 + i]);
  }
  return epoch;
}

/// The fields that are no lists.
Result<void> read_head(const json& value, wire::Envelope& envelope) {
  // What a time cannot hold, the encoder could not refuse any more.
  constexpr std::uint64_t kMsMax = 9'223'372'036'854;
  KVFERRY_ASSIGN_OR_RETURN(const auto id, read_number(value, "worker_id", "value"));
  KVFERRY_ASSIGN_OR_RETURN(const std::string* name, read_text(value, "name", "value"));
  envelope.worker_address = {WorkerId{id}, *name};
  KVFERRY_ASSIGN_OR_RETURN(envelope.epoch, read_epoch(value));
  KVFERRY_ASSIGN_OR_RETURN(envelope.generation, read_number(value, "generation", "value"));
  KVFERRY_ASSIGN_OR_RETURN(const auto issued,
                           read_number(value, "issued_unix_ms", "value", kMsMax));
  envelope.issued = std::chrono::system_clock::time_point{std::chrono::milliseconds{issued}};
  KVFERRY_ASSIGN_OR_RETURN(const auto lease, read_number(value, "lease_ms", "value", kMsMax));
  envelope.lease = std::chrono::milliseconds{lease};
  KVFERRY_ASSIGN_OR_RETURN(const std::string* audience, read_text(value, "audience", "value"));
  envelope.audience = *audience;
  KVFERRY_ASSIGN_OR_RETURN(envelope.unknown_fields, read_unknown(value, "value"));
  return {};
}

Result<std::optional<wire::EnvelopeSignature>> read_signature(const json& value) {
  const auto found = value.find("signature");
  if (found == value.end() || found->is_null()) {
    return std::optional<wire::EnvelopeSignature>{};
  }
  KVFERRY_RETURN_IF_ERROR(check_keys(*found, {"public_key", "signature"}, "signature"));
  wire::EnvelopeSignature signature;
  KVFERRY_RETURN_IF_ERROR(read_exactly(*found, "public_key", "signature", signature.public_key));
  KVFERRY_RETURN_IF_ERROR(read_exactly(*found, "signature", "signature", signature.signature));
  return std::optional{signature};
}

/// Reads each element of an array with `read`.
template <class T>
Result<std::vector<T>> read_all(const json& value, const std::string& key,
                                Result<T> (*read)(const json&, const std::string&)) {
  KVFERRY_ASSIGN_OR_RETURN(const json* nodes, member(value, key, "value"));
  if (!nodes->is_array()) {
    return wrong(key, "not an array");
  }
  std::vector<T> all;
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    KVFERRY_ASSIGN_OR_RETURN(T one, read((*nodes)[i], fmt::format("{}[{}]", key, i)));
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

Result<SignedEnvelope> read_envelope(std::span<const std::byte> bytes) {
  KVFERRY_ASSIGN_OR_RETURN(wire::Envelope envelope, wire::decode_envelope(bytes));
  KVFERRY_ASSIGN_OR_RETURN(const wire::SignedBody opened, wire::open_envelope(bytes));
  return SignedEnvelope{std::move(envelope), opened.signature};
}

Result<std::vector<std::byte>> write_envelope(const SignedEnvelope& envelope) {
  KVFERRY_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, wire::encode_envelope(envelope.envelope));
  return envelope.signature ? wire::with_signature(bytes, *envelope.signature) : bytes;
}

ordered_json value_of(const SignedEnvelope& given) {
  const auto& [envelope, signature] = given;
  const auto issued =
      std::chrono::duration_cast<std::chrono::milliseconds>(envelope.issued.time_since_epoch());
  ordered_json value{{"worker_id", std::to_string(envelope.worker_address.worker_id.value())},
                     {"name", envelope.worker_address.nixl_agent_name},
                     {"epoch", to_string(envelope.epoch)},
                     {"generation", integer(envelope.generation)},
                     {"issued_unix_ms", issued.count()},
                     {"lease_ms", envelope.lease.count()},
                     {"audience", envelope.audience},
                     {"agents", ordered_json::array()},
                     {"layouts", ordered_json::array()},
                     {"signature", nullptr}};
  for (const wire::AgentBlob& agent : envelope.agents) {
    ordered_json one{{"kind", agent.kind}, {"blob", hex(agent.blob)}};
    put_unknown(agent.unknown_fields, one);
    value["agents"].push_back(std::move(one));
  }
  for (const wire::EnvelopeLayout& layout : envelope.layouts) {
    value["layouts"].push_back(layout_json(layout));
  }
  if (signature) {
    value["signature"] = {{"public_key", hex(signature->public_key)},
                          {"signature", hex(signature->signature)}};
  }
  put_unknown(envelope.unknown_fields, value);
  return value;
}

bool describes_envelope(std::string_view document) {
  const Result<json> parsed = parse(document);
  return parsed && parsed->is_object() && parsed->contains("format") &&
         (*parsed)["format"] == "envelope";
}

Result<SignedEnvelope> envelope_of(std::string_view document) {
  KVFERRY_ASSIGN_OR_RETURN(const json parsed, parse(document));
  KVFERRY_ASSIGN_OR_RETURN(const json* value, member(parsed, "value", "document"));
  KVFERRY_RETURN_IF_ERROR(
      check_keys(*value,
                 {"worker_id", "name", "epoch", "generation", "issued_unix_ms", "lease_ms",
                  "audience", "agents", "layouts", "signature", "unknown_fields"},
                 "value"));
  SignedEnvelope read;
  KVFERRY_RETURN_IF_ERROR(read_head(*value, read.envelope));
  KVFERRY_ASSIGN_OR_RETURN(read.envelope.agents, read_all(*value, "agents", &read_agent));
  KVFERRY_ASSIGN_OR_RETURN(read.envelope.layouts, read_all(*value, "layouts", &read_layout));
  KVFERRY_ASSIGN_OR_RETURN(read.signature, read_signature(*value));
  return read;
}

}  // namespace kvferry::tool
