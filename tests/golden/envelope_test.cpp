// SPDX-License-Identifier: Apache-2.0
// Goal: envelopes are the bytes that docs/spec/envelope.md says, in both directions, for all time.
// Method: files written by a program that shares nothing with us, the JSON beside each of them
// compared with one built here from the structs; every bit of each file turned.
#include "kvferry/wire/envelope.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kvferry/base/try.hpp"
#include "vectors.hpp"

namespace kvferry::wire {
namespace {

using golden::Bytes;
using golden::integer;
using golden::Json;
using golden::storage_value;

std::filesystem::path folder() {
  return std::filesystem::path{KVFERRY_SOURCE_DIR} / "tests" / "golden" / "envelope";
}

Bytes read_bytes(const std::filesystem::path& file) {
  std::ifstream stream{file, std::ios::binary};
  EXPECT_TRUE(stream.good()) << file;
  const std::string text{std::istreambuf_iterator<char>{stream}, {}};
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits{"0123456789abcdef"};
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

Json region(const Region& value) {
  return {{"address", integer(value.address)}, {"size", integer(value.size_bytes)}};
}

void put_unknown(const Bytes& fields, Json& value) {
  if (!fields.empty()) {
    value["unknown_fields"] = hex(fields);
  }
}

Json part(std::uint64_t first, std::uint64_t model) {
  return {{"first", integer(first)}, {"model", integer(model)}};
}

Json order(const std::optional<layout::BlockAxes>& order) {
  constexpr std::array kNames{"", "Layer", "Outer", "Page", "Head"};
  if (!order) {
    return "Unknown";
  }
  const std::string name = to_string(*order);
  if (name.find(',') == std::string::npos) {
    return name;
  }
  Json axes = Json::array();
  for (const layout::Axis axis : *order) {
    axes.push_back(kNames.at(static_cast<std::size_t>(axis)));
  }
  return {{"Custom", axes}};
}

void put(const layout::PackedLayout& packed, Json& value) {
  constexpr std::array kArrangements{"FullyContiguous", "LayerSeparateBlockIsFirstDim",
                                     "LayerSeparateBlockIsSecondDim"};
  value["arrangement"] = kArrangements.at(static_cast<std::size_t>(packed.arrangement));
  value["config"]["order"] = order(packed.order);
  for (const auto& [name, held] :
       {std::pair{"layers", packed.layers}, std::pair{"heads", packed.heads}}) {
    if (held.whole != 0) {
      value[name] = part(held.origin, held.whole);
    }
  }
}

void put(const layout::LayoutView::Parts& parts, Json& value) {
  value["arrangement"] = "Strided";
  Json strides{{"bytes", Json::array()},
               {"region_steps", Json::array()},
               {"offset", integer(parts.offset_bytes)},
               {"packing", parts.packing}};
  for (std::size_t i = 0; i < 5; ++i) {
    strides["bytes"].push_back(integer(parts.axes[i].stride_bytes));
    strides["region_steps"].push_back(parts.axes[i].region_step);
  }
  value["strides"] = strides;
  for (const auto& [name, axis] :
       {std::pair{"layers", parts.axes[1]}, std::pair{"heads", parts.axes[4]}}) {
    if (axis.extent != axis.whole) {
      value[name] = part(axis.origin, axis.whole);
    }
  }
}

Json layout(const EnvelopeLayout& layout) {
  const layout::LayoutConfig config = config_of(layout.description);
  Json value{{"id", layout.id.value()},
             {"storage", storage_value(layout.location)},
             {"access", to_string(layout.access)},
             {"tier", layout.tier ? Json(to_string(*layout.tier)) : Json()},
             {"config",
              {{"num_blocks", integer(config.num_blocks)},
               {"num_layers", integer(config.num_layers)},
               {"outer_dim", integer(config.outer_dim)},
               {"page_size", integer(config.page_size)},
               {"inner_dim", integer(config.inner_dim)},
               {"alignment", integer(config.alignment)},
               {"dtype_width_bytes", integer(config.dtype_width_bytes)},
               {"order", "Unknown"},
               {"num_heads", config.num_heads ? integer(*config.num_heads) : Json()}}},
             {"regions", Json::array()},
             {"guards", layout.guards ? region(*layout.guards) : Json()}};
  std::visit([&value](const auto& one) { put(one, value); }, layout.description);
  if (!layout.model.empty()) {
    value["model"] = layout.model;
  }
  if (!layout.group.empty()) {
    value["group"] = layout.group;
  }
  if (!layout.plane.empty()) {
    value["plane"] = layout.plane;
  }
  for (const Region& one : layout.regions) {
    value["regions"].push_back(region(one));
  }
  put_unknown(layout.unknown_fields, value);
  return value;
}

Json value_of(const Envelope& envelope, const std::optional<EnvelopeSignature>& signature) {
  const auto issued =
      std::chrono::duration_cast<std::chrono::milliseconds>(envelope.issued.time_since_epoch());
  Json value{{"worker_id", std::to_string(envelope.worker_address.worker_id.value())},
             {"name", envelope.worker_address.nixl_agent_name},
             {"epoch", to_string(envelope.epoch)},
             {"generation", integer(envelope.generation)},
             {"issued_unix_ms", issued.count()},
             {"lease_ms", envelope.lease.count()},
             {"audience", envelope.audience},
             {"agents", Json::array()},
             {"layouts", Json::array()},
             {"signature", nullptr}};
  for (const AgentBlob& agent : envelope.agents) {
    Json& one = value["agents"].emplace_back(Json{{"kind", agent.kind}, {"blob", hex(agent.blob)}});
    put_unknown(agent.unknown_fields, one);
  }
  for (const EnvelopeLayout& one : envelope.layouts) {
    value["layouts"].push_back(layout(one));
  }
  put_unknown(envelope.unknown_fields, value);
  if (signature) {
    value["signature"] = {{"public_key", hex(signature->public_key)},
                          {"signature", hex(signature->signature)}};
  }
  return value;
}

/// The bytes of what was read, with its signature.
Result<Bytes> written_again(const Envelope& envelope,
                            const std::optional<EnvelopeSignature>& signature) {
  KVFERRY_ASSIGN_OR_RETURN(Bytes bytes, encode_envelope(envelope));
  return signature ? with_signature(bytes, *signature) : bytes;
}

class GoldenEnvelope : public testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] static Bytes bytes() { return read_bytes(folder() / (GetParam() + ".kvfy")); }
  [[nodiscard]] static Json document() {
    std::ifstream stream{folder() / (GetParam() + ".json")};
    return Json::parse(stream);
  }
};

TEST_P(GoldenEnvelope, SaysWhatIsWrittenBesideIt) {
  const Bytes message = bytes();
  const Json expected = document();
  const auto envelope = decode_envelope(message);
  if (expected.contains("error")) {
    ASSERT_FALSE(envelope);
    EXPECT_EQ(to_string(envelope.error().code), expected["error"]["code"]);
    EXPECT_EQ(envelope.error().message, expected["error"]["message"]);
    return;
  }
  ASSERT_TRUE(envelope) << envelope.error().message;
  const auto opened = open_envelope(message);
  ASSERT_TRUE(opened);
  EXPECT_EQ(value_of(*envelope, opened->signature), expected["value"]);
  EXPECT_EQ(message.size(), expected["bytes"]);
}

TEST_P(GoldenEnvelope, IsWrittenAgainByteForByteWhenCanonical) {
  const Bytes message = bytes();
  const Json expected = document();
  if (expected.contains("error")) {
    return;  // What is not read is not written.
  }
  const auto envelope = decode_envelope(message);
  const auto opened = open_envelope(message);
  ASSERT_TRUE(envelope && opened);
  const auto again = written_again(*envelope, opened->signature);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(hex(*again) == hex(message), expected["canonical"]);
  EXPECT_EQ(*decode_envelope(*again), *envelope);
}

TEST_P(GoldenEnvelope, IsRefusedWithAnyBitTurned) {
  const Bytes message = bytes();
  const auto opened = open_envelope(message);
  ASSERT_TRUE(opened);
  const std::size_t covered =
      static_cast<std::size_t>(opened->body.data() - message.data()) + opened->body.size();
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    Bytes turned = message;
    turned[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto read = open_envelope(turned);
    if (bit / 8 < covered) {
      ASSERT_FALSE(read) << "bit " << bit;
      ASSERT_TRUE(read.error().code == ErrorCode::kCorrupt ||
                  read.error().code == ErrorCode::kIncompatible)
          << "bit " << bit << ": " << read.error().message;
      ASSERT_FALSE(decode_envelope(turned)) << "bit " << bit;
    } else {
      // The signature itself is for package trust to refuse.
      ASSERT_TRUE(read) << "bit " << bit;
      ASSERT_NE(read->signature, opened->signature) << "bit " << bit;
    }
  }
}

TEST_P(GoldenEnvelope, IsRefusedWhenCutAnywhereOrLonger) {
  Bytes message = bytes();
  for (std::size_t size = 0; size < message.size(); ++size) {
    const auto read = decode_envelope(std::span{message}.first(size));
    ASSERT_FALSE(read) << size;
    ASSERT_EQ(read.error().code, ErrorCode::kCorrupt) << size << ": " << read.error().message;
  }
  message.push_back(std::byte{0});
  const auto read = open_envelope(message);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
}

TEST_P(GoldenEnvelope, IsNoMessageOfFormatAOrB) {
  EXPECT_TRUE(is_envelope(bytes()));
  EXPECT_FALSE(decode_view(bytes()));
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenEnvelope,
                         testing::Values("minimal", "seed_like", "several", "signed", "orders",
                                         "strided", "planes", "newer_fields", "newer_fields_signed",
                                         "newer_header", "required_features"),
                         [](const auto& test) { return test.param; });

/// The bytes of the lines of hexadecimal digits in the first code block behind a heading.
Bytes example_of(const std::filesystem::path& page, const std::string& heading) {
  std::ifstream stream{page};
  std::string line;
  while (std::getline(stream, line) && line != heading) {
  }
  while (std::getline(stream, line) && line != "```") {
  }
  std::string digits;
  while (std::getline(stream, line) && line != "```") {
    // Words begin two blanks or more behind the digits; blanks in front are how it is set.
    line.erase(0, line.find_first_not_of(' '));
    digits += line.substr(0, line.find("  "));
  }
  std::erase(digits, ' ');
  return golden::from_hex(digits);
}

TEST(GoldenEnvelopeFiles, HoldTheExampleOfTheSpecification) {
  const Bytes example = example_of(
      std::filesystem::path{KVFERRY_SOURCE_DIR} / "docs/spec/envelope.md", "## 7. Example");
  EXPECT_EQ(hex(example), hex(read_bytes(folder() / "seed_like.kvfy")));
  EXPECT_TRUE(decode_envelope(example));
}

// The list above is by hand.
TEST(GoldenEnvelopeFiles, AreAllTested) {
  std::size_t files{0};
  for (const auto& entry : std::filesystem::directory_iterator{folder()}) {
    files += entry.path().extension() == ".kvfy" ? 1 : 0;
  }
  EXPECT_EQ(files, 11U);
}

TEST(GoldenEnvelopeFiles, ManyMessagesOfFormatAAreNoEnvelopes) {
  for (const auto& entry :
       std::filesystem::directory_iterator{std::filesystem::path{KVFERRY_SOURCE_DIR} / "vectors"}) {
    if (entry.path().extension() == ".bin") {
      EXPECT_FALSE(is_envelope(read_bytes(entry.path()))) << entry.path();
    }
  }
}

}  // namespace
}  // namespace kvferry::wire
