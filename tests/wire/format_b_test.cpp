// SPDX-License-Identifier: Apache-2.0
// Goal: what format B has more than A is written and read as the specification says, and what
// either cannot carry is named. Method: the worked examples, and the bytes around each field
// written down here.
#include <gtest/gtest.h>

#include <algorithm>

#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"
#include "samples.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::expect_fails;
using samples::from_hex;
using samples::to_hex;
using Type = KvBlockLayout::Type;

constexpr MessageFormat kB = MessageFormat::kB;

/// The seed's message up to the logical type, and from the version up to the heads.
constexpr std::string_view kUpToType{
    "640a776f726b65725f31303005010203040501fe64000000000000000100000000000000"};
constexpr std::string_view kUpToHeads{"0102020204080102"};
constexpr std::string_view kUpToDetails{"000474657374000001fb0010fb0010"};

/// The seed's message with these three fields in hex.
Bytes message_with(std::string_view type, std::string_view heads, std::string_view details) {
  std::string text{kUpToType};
  for (const std::string_view part : {type, kUpToHeads, heads, kUpToDetails, details}) {
    text += part;
  }
  return from_hex(text);
}

RdmaLayoutDescriptors seed_in_b() {
  RdmaLayoutDescriptors message = samples::seed_message();
  message.layouts[0].logical_type = LogicalType::kG2;
  message.layouts[0].layout.layout_type_details =
      FullyContiguousDetails{BlockFormat::kOperational, KvBlockLayout{Type::kOperationalNhd, {}}};
  return message;
}

Result<SerializedLayout> pack(const RdmaLayoutDescriptors& message, MessageFormat format) {
  return SerializedLayout::pack(message.worker_address, message.nixl_metadata, message.layouts,
                                format);
}

/// `message` is written as `bytes`, and read back from them.
void expect_both_ways(const RdmaLayoutDescriptors& message, const Bytes& bytes) {
  const auto packed = pack(message, kB);
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(to_hex(packed->as_bytes()), to_hex(bytes));
  const auto view = decode_view_as(kB, bytes);
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(to_owned(*view), message);
  EXPECT_TRUE(is_canonical(*view, bytes));
}

TEST(FormatB, WritesAndReadsTheWorkedExample) {
  expect_both_ways(seed_in_b(), message_with("01", "00", "000003"));
}

TEST(FormatB, WritesAndReadsEachLogicalType) {
  for (std::size_t type = 0; type < 4; ++type) {
    RdmaLayoutDescriptors message = seed_in_b();
    message.layouts[0].logical_type = static_cast<LogicalType>(type);
    expect_both_ways(message, message_with("0" + std::to_string(type), "00", "000003"));
  }
}

TEST(FormatB, WritesAndReadsHeads) {
  for (const auto& [heads, hex] : std::vector<std::pair<std::uint64_t, std::string_view>>{
           {0, "0100"}, {8, "0108"}, {251, "01fbfb00"}, {~0ULL, "01fdffffffffffffffff"}}) {
    RdmaLayoutDescriptors message = seed_in_b();
    message.layouts[0].layout.layout_config.num_heads = heads;
    expect_both_ways(message, message_with("01", hex, "000003"));
  }
}

TEST(FormatB, WritesAndReadsEachOrderOfBothArrangements) {
  for (std::size_t type = 0; type < 6; ++type) {
    KvBlockLayout order{static_cast<Type>(type), {}};
    std::string hex = "0" + std::to_string(type);
    if (order.type == Type::kCustom) {
      order.custom = {BlockDim::kHead, BlockDim::kPage, BlockDim::kLayer, BlockDim::kOuter};
      hex += "03020001";
    }
    RdmaLayoutDescriptors message = seed_in_b();
    message.layouts[0].layout.layout_type_details =
        FullyContiguousDetails{BlockFormat::kOperational, order};
    expect_both_ways(message, message_with("01", "00", "0000" + hex));
    message.layouts[0].layout.layout_type_details =
        LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim, order};
    expect_both_ways(message, message_with("01", "00", "0101" + hex));
  }
}

TEST(FormatB, WritesWhatTheOriginalWritesWhereNothingIsSaid) {
  const auto packed = pack(samples::seed_message(), kB);
  ASSERT_TRUE(packed);
  EXPECT_EQ(to_hex(packed->as_bytes()), to_hex(message_with("01", "00", "000005")));
}

TEST(FormatB, RefusesWhatIsNoValueOfAField) {
  const auto refused = [](const Bytes& bytes, std::string_view message) {
    expect_fails(decode_view_as(kB, bytes), ErrorCode::kCorrupt, message);
  };
  refused(message_with("04", "00", "000003"), "layouts[0].logical_type at 36: variant 4 of 4");
  for (const auto& [tag, number] : {std::pair{"02", "2"}, std::pair{"fb", "251"}}) {
    refused(message_with("01", tag, "000003"),
            "layouts[0].layout.layout_config.num_heads at 45: option tag " + std::string{number} +
                " of at most 1");
  }
  refused(message_with("01", "01fe", "000003"),
          "layouts[0].layout.layout_config.num_heads at 46: integer marker 254 of at most 253");
  refused(message_with("01", "00", "000006"),
          "layout_type_details.FullyContiguous.kv_block_layout at 63: variant 6 of 6");
  refused(message_with("01", "00", "010106"),
          "layout_type_details.LayerSeparate.kv_block_layout at 63: variant 6 of 6");
  refused(message_with("01", "00", "00000400010204"),
          "layout_type_details.FullyContiguous.kv_block_layout at 67: variant 4 of 4");
  refused(message_with("01", "00", "000004000102"), "kv_block_layout at 67: ");
}

TEST(FormatB, IsRefusedWhereverItIsCut) {
  const Bytes bytes = message_with("03", "0108", "010104 03020001");
  ASSERT_TRUE(decode_view_as(kB, bytes));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_view_as(kB, {bytes.data(), length})) << length;
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  expect_fails(decode_view_as(kB, longer), ErrorCode::kCorrupt, "1 bytes after the end");
}

TEST(FormatB, NamesWhatOneOfTheFormatsCannotCarry) {
  const auto changed = [](const auto& change) {
    RdmaLayoutDescriptors message = samples::seed_message();
    change(message.layouts[0]);
    return message;
  };
  const auto heads = changed([](auto& l) { l.layout.layout_config.num_heads = 8; });
  const auto type = changed([](auto& l) { l.logical_type = LogicalType::kG3; });
  const auto contiguous = changed([](auto& l) {
    l.layout.layout_type_details =
        FullyContiguousDetails{BlockFormat::kOperational, KvBlockLayout{}};
  });
  const auto separate = changed([](auto& l) {
    l.layout.layout_type_details = LayerSeparateDetails{{}, KvBlockLayout{Type::kUniversalTp, {}}};
  });
  for (const auto& [message, text] : std::vector<std::pair<RdmaLayoutDescriptors, std::string>>{
           {heads, "layouts[0].layout.layout_config.num_heads: 8, and format A carries none"},
           {type, "layouts[0].logical_type: G3, and format A carries none"},
           {contiguous, "FullyContiguous.kv_block_layout: Unknown, and format A carries none"},
           {separate, "LayerSeparate.kv_block_layout: UniversalTP, and format A carries none"}}) {
    expect_fails(pack(message, MessageFormat::kA), ErrorCode::kInvalidArgument, text);
    EXPECT_TRUE(pack(message, kB));
  }
  const auto shape =
      changed([](auto& l) { l.layout.layout_config.inner_shape = layout::InnerShape::kNhd; });
  expect_fails(pack(shape, kB), ErrorCode::kInvalidArgument,
               "layouts[0].layout.layout_config.inner_shape: NHD, and format B carries none");
  EXPECT_TRUE(pack(shape, MessageFormat::kA));
}

TEST(FormatB, HasRulesOfItsOwn) {
  const auto lint_of = [](const LayoutTypeDetails& details) {
    RdmaLayoutDescriptors message = samples::clean_message();
    message.layouts[0].layout.layout_config.inner_shape = layout::InnerShape::kUnknown;
    message.layouts[0].layout.layout_type_details = details;
    const auto packed = pack(message, kB);
    EXPECT_TRUE(packed);
    return lint(*decode_view_as(kB, packed->as_bytes()));
  };
  const auto second = layout::BlockDimension::kBlockIsSecondDim;
  for (const Type type : {Type::kOperationalHnd, Type::kOperationalNhd, Type::kUnknown}) {
    EXPECT_TRUE(lint_of(LayerSeparateDetails{second, KvBlockLayout{type, {}}}).empty());
  }
  for (const Type type : {Type::kUniversalTp, Type::kUniversalPp}) {
    const auto lints = lint_of(LayerSeparateDetails{second, KvBlockLayout{type, {}}});
    ASSERT_EQ(lints.size(), 1U);
    EXPECT_EQ(lints[0].rule, LintRule::kLayerSeparateOrder);
    EXPECT_FALSE(lints[0].refuses_import);
  }
  KvBlockLayout custom{Type::kCustom,
                       {BlockDim::kHead, BlockDim::kPage, BlockDim::kLayer, BlockDim::kOuter}};
  EXPECT_EQ(lint_of(LayerSeparateDetails{second, custom}).size(), 1U);
  custom.custom[2] = BlockDim::kHead;
  const auto lints = lint_of(LayerSeparateDetails{second, custom});
  ASSERT_EQ(lints.size(), 2U);
  EXPECT_EQ(lints[0].rule, LintRule::kCustomOrderNotAPermutation);
  EXPECT_TRUE(lints[0].refuses_import);
  EXPECT_EQ(
      lints[0].message,
      "layouts[0].layout.layout_type_details.LayerSeparate.kv_block_layout: Head, Page, Head, "
      "Outer does not name each axis once");
}

TEST(FormatB, HasTheOriginalsNames) {
  EXPECT_EQ(to_string(MessageFormat::kA), "A");
  EXPECT_EQ(to_string(kB), "B");
  EXPECT_EQ(to_string(LogicalType::kG4), "G4");
  EXPECT_EQ(to_string(BlockDim::kPage), "Page");
  EXPECT_EQ(to_string(Type::kUniversalPp), "UniversalPP");
}

}  // namespace
}  // namespace kvferry::wire
