// SPDX-License-Identifier: Apache-2.0
// Goal: pack() and unpack() mean what they mean in the original, and pack() refuses what format A
// cannot carry. Method: the seed's own tests, the worked examples of the wire format as literal
// bytes, and one refused value for each rule.
#include "kvferry/wire/serialized_layout.hpp"

#include "samples.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::expect_fails;
using samples::from_hex;
using samples::seed_local;
using samples::to_hex;

RdmaLayoutDescriptors message_of(WorkerAddress address, Bytes blob,
                                 std::vector<LocalLayoutDescriptor> layouts) {
  RdmaLayoutDescriptors message;
  message.worker_address = std::move(address);
  message.nixl_metadata = std::move(blob);
  message.layouts = std::move(layouts);
  return message;
}

Result<SerializedLayout> pack(const RdmaLayoutDescriptors& message) {
  return SerializedLayout::pack(message.worker_address, message.nixl_metadata, message.layouts);
}

// The seed's test "serialized layout with handle".
TEST(SerializedLayout, KeepsTheHandleOfALayout) {
  const auto local = seed_local(999, 42);
  const auto packed = SerializedLayout::pack({WorkerId{999}, "worker_999"}, {}, {&local, 1});
  ASSERT_TRUE(packed);
  const auto unpacked = packed->unpack();
  ASSERT_TRUE(unpacked);
  ASSERT_EQ(unpacked->layouts.size(), 1U);
  EXPECT_EQ(unpacked->layouts[0].handle.worker_id(), WorkerId{999});
  EXPECT_EQ(unpacked->layouts[0].handle.layout_id(), LayoutId{42});
  EXPECT_EQ(unpacked->layouts[0].layout, samples::seed_layout());
}

// The seed's test "metadata pack/unpack"; example E1 of the wire format.
TEST(SerializedLayout, PacksAndUnpacksMetadata) {
  const auto packed = pack(samples::seed_message());
  ASSERT_TRUE(packed);
  EXPECT_FALSE(packed->is_empty());
  EXPECT_EQ(packed->len(), 62U);
  EXPECT_EQ(to_hex(packed->as_bytes()),
            "640a776f726b65725f31303005010203040501fe64000000000000000100000000000000"
            "010202020408010200000474657374000001fb0010fb00100000");
  const auto unpacked = packed->unpack();
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(*unpacked, samples::seed_message());
}

// The seed's test "metadata with several layouts"; example E2.
TEST(SerializedLayout, KeepsOrderAndHandlesOfSeveralLayouts) {
  const RdmaLayoutDescriptors message =
      message_of({WorkerId{200}, "worker_200"}, from_hex("0a141e"),
                 {seed_local(200, 3), seed_local(200, 1), seed_local(200, 2)});
  const auto packed = pack(message);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->len(), 146U);
  std::string expected{"c80a776f726b65725f323030030a141e03"};
  for (const std::string id : {"03", "01", "02"}) {
    expected += "fec800000000000000" + id +
                "00000000000000010202020408010200000474657374000001fb0010fb00100000";
  }
  EXPECT_EQ(to_hex(packed->as_bytes()), expected);
  const auto unpacked = packed->unpack();
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(*unpacked, message);
}

// The seed's test "metadata from bytes"; example E3.
TEST(SerializedLayout, UnpacksMetadataFromBytes) {
  const auto packed = SerializedLayout::pack({WorkerId{42}, "test"}, from_hex("010203"), {});
  ASSERT_TRUE(packed);
  EXPECT_EQ(to_hex(packed->as_bytes()),
            "2a047465737403010203"
            "00");
  const auto copy =
      SerializedLayout::from_bytes({packed->as_bytes().begin(), packed->as_bytes().end()});
  EXPECT_EQ(copy, *packed);
  const auto unpacked = copy.unpack();
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(unpacked->worker_address, (WorkerAddress{WorkerId{42}, "test"}));
  EXPECT_EQ(unpacked->nixl_metadata, from_hex("010203"));
  EXPECT_TRUE(unpacked->layouts.empty());
}

// Example E4.
TEST(SerializedLayout, PacksLayerSeparateLayoutsOnADevice) {
  LayoutDescriptor layout;
  layout.layout_config = {.num_blocks = 1000,
                          .num_layers = 2,
                          .outer_dim = 2,
                          .page_size = 16,
                          .inner_dim = 1024,
                          .inner_shape = layout::InnerShape::kNhd};
  layout.location = StorageKind::device(3);
  layout.nixl_metadata = {"worker-7", MemType::kVram, 3};
  layout.memory_descriptors = {{0x7f1234000000, 65'536'000}, {0x7f1237e80000, 65'536'000}};
  layout.layout_type_details = LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim};
  const RdmaLayoutDescriptors message =
      message_of({WorkerId{7}, "worker-7"}, Bytes(300, std::byte{0xAA}),
                 {{LayoutHandle{WorkerId{7}, LayoutId{0}}, layout}});
  std::string expected{"0708776f726b65722d37fb2c01"};
  for (int i = 0; i < 300; ++i) {
    expected += "aa";
  }
  expected +=
      "010701fbe803020210fb000401020102"
      "0308776f726b65722d37010302fd00000034127f0000fc0000e803fd0000e837127f0000fc0000e8030101";
  const auto packed = pack(message);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->len(), 372U);
  EXPECT_EQ(to_hex(packed->as_bytes()), expected);
  const auto unpacked = packed->unpack();
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(*unpacked, message);
}

TEST(SerializedLayout, TakesAnyBytesAndSaysLaterWhatIsWrong) {
  const auto nothing = SerializedLayout::from_bytes({});
  EXPECT_TRUE(nothing.is_empty());
  EXPECT_EQ(nothing.len(), 0U);
  expect_fails(nothing.unpack(), ErrorCode::kCorrupt,
               "worker_address.worker_id at 0: 1 bytes of 0 left");
}

TEST(SerializedLayout, HonoursLimits) {
  const auto packed = pack(samples::seed_message());
  ASSERT_TRUE(packed);
  WireLimits limits;
  limits.message_bytes = 61;
  expect_fails(packed->unpack(limits), ErrorCode::kCorrupt, "message at 0: 62 bytes is above");
}

TEST(SerializedLayout, ShowsOnlyItsSize) {
  EXPECT_EQ(pack(samples::seed_message())->debug_string(), "SerializedLayout { size_bytes: 62 }");
}

TEST(SerializedLayout, RefusesHeadsWhichFormatADoesNotCarry) {
  auto message = samples::seed_message();
  message.layouts[0].layout.layout_config.num_heads = 8;
  expect_fails(pack(message), ErrorCode::kInvalidArgument,
               "layouts[0].layout.layout_config.num_heads: 8");
}

TEST(SerializedLayout, RefusesDeviceOrdinalsOfMoreThan32Bits) {
  auto message = samples::seed_message();
  message.layouts[0].layout.location = {StorageKind::Type::kDevice, 0x1'0000'0000};
  expect_fails(pack(message), ErrorCode::kInvalidArgument,
               "layouts[0].layout.location.Device: 4294967296 of at most 4294967295");
  message.layouts[0].layout.location.id = 0xFFFF'FFFF;
  EXPECT_TRUE(pack(message));
}

TEST(SerializedLayout, RefusesAnIdOnMemoryThatHasNone) {
  auto message = samples::seed_message();
  message.layouts[0].layout.location = {StorageKind::Type::kPinned, 1};
  expect_fails(pack(message), ErrorCode::kInvalidArgument, "layouts[0].layout.location: id 1");
}

TEST(SerializedLayout, RefusesNamesThatAreNotUtf8) {
  auto message = samples::seed_message();
  message.layouts.push_back(message.layouts[0]);
  message.layouts[1].layout.nixl_metadata.agent_name = "ab\xFF";
  expect_fails(pack(message), ErrorCode::kInvalidArgument,
               "layouts[1].layout.nixl_metadata.agent_name: not UTF-8 after 2 of 3 bytes");
  message.worker_address.nixl_agent_name = "\xFF";
  expect_fails(pack(message), ErrorCode::kInvalidArgument,
               "worker_address.nixl_agent_name: not UTF-8 after 0 of 1 bytes");
}

}  // namespace
}  // namespace kvferry::wire
