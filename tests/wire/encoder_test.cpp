// SPDX-License-Identifier: Apache-2.0
// Goal: each value lands in its place in its shortest form. Method: the seed's message with one
// piece replaced by a literal, for each integer at each boundary, and for the tables of section
// 1.10 of the wire format.
#include "wire/encoder.hpp"

#include <functional>
#include <limits>

#include "kvferry/wire/message_view.hpp"
#include "samples.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::from_hex;
using samples::Pieces;
using samples::shortest;
using samples::to_hex;

std::string encoded(const RdmaLayoutDescriptors& message) {
  return to_hex(encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                             MessageFormat::kA));
}

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

struct IntegerField {
  std::string_view piece;
  std::uint64_t max;
  std::function<void(RdmaLayoutDescriptors&, std::uint64_t)> set;
};

std::vector<IntegerField> integer_fields() {
  using Message = RdmaLayoutDescriptors;
  using Value = std::uint64_t;
  const auto config = [](std::uint64_t layout::LayoutConfig::*member) {
    return [member](Message& m, Value v) { m.layouts[0].layout.layout_config.*member = v; };
  };
  return {
      {"worker_id", kMax64, [](Message& m, Value v) { m.worker_address.worker_id = WorkerId{v}; }},
      {"handle", kMax64,
       [](Message& m, Value v) {
         m.layouts[0].handle = LayoutHandle{WorkerId{v}, LayoutId{0}};
       }},
      {"version", kMax32,
       [](Message& m, Value v) { m.layouts[0].layout.version = static_cast<std::uint32_t>(v); }},
      {"num_blocks", kMax64, config(&layout::LayoutConfig::num_blocks)},
      {"num_layers", kMax64, config(&layout::LayoutConfig::num_layers)},
      {"outer_dim", kMax64, config(&layout::LayoutConfig::outer_dim)},
      {"page_size", kMax64, config(&layout::LayoutConfig::page_size)},
      {"inner_dim", kMax64, config(&layout::LayoutConfig::inner_dim)},
      {"alignment", kMax64, config(&layout::LayoutConfig::alignment)},
      {"dtype_width_bytes", kMax64, config(&layout::LayoutConfig::dtype_width_bytes)},
      {"device_id", kMax64,
       [](Message& m, Value v) { m.layouts[0].layout.nixl_metadata.device_id = v; }},
      {"addr", kMax64,
       [](Message& m, Value v) { m.layouts[0].layout.memory_descriptors[0].address = v; }},
      {"size", kMax64,
       [](Message& m, Value v) { m.layouts[0].layout.memory_descriptors[0].size_bytes = v; }},
  };
}

TEST(Encoder, WritesEachIntegerAtEachBoundaryAndTheDecoderReadsItBack) {
  for (const IntegerField& field : integer_fields()) {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{250}, std::uint64_t{251}, std::uint64_t{65'535},
          std::uint64_t{65'536}, kMax32, kMax32 + 1, kMax64 - 1, kMax64}) {
      if (value > field.max) {
        continue;
      }
      SCOPED_TRACE(std::string{field.piece} + " = " + std::to_string(value));
      RdmaLayoutDescriptors message = samples::seed_message();
      field.set(message, value);
      const Bytes bytes = Pieces{}.with(field.piece, shortest(value)).bytes();
      EXPECT_EQ(encoded(message), to_hex(bytes));
      const auto view = decode_view(bytes);
      ASSERT_TRUE(view) << view.error().message;
      EXPECT_EQ(to_owned(*view), message);
    }
  }
}

struct HandleRow {
  std::uint64_t worker;
  std::uint16_t layout;
  std::string_view hex;
};

TEST(Encoder, WritesHandlesAsInTheTable) {
  for (const HandleRow& row : std::vector<HandleRow>{
           {0, 0, "00"},
           {250, 0, "fa"},
           {251, 0, "fbfb00"},
           {65'535, 0, "fbffff"},
           {65'536, 0, "fc00000100"},
           {kMax32, 0, "fcffffffff"},
           {kMax32 + 1, 0, "fd0000000001000000"},
           {kMax64, 0, "fdffffffffffffffff"},
           {0, 1, "fe00000000000000000100000000000000"},
           {999, 42, "fee7030000000000002a00000000000000"},
           {kMax64, 65'535, "feffffffffffffffffffff000000000000"},
       }) {
    RdmaLayoutDescriptors message = samples::seed_message();
    message.layouts[0].handle = LayoutHandle{WorkerId{row.worker}, LayoutId{row.layout}};
    const Bytes bytes = Pieces{}.with("handle", from_hex(row.hex)).bytes();
    EXPECT_EQ(encoded(message), to_hex(bytes));
    ASSERT_TRUE(decode_view(bytes));
    EXPECT_EQ(to_owned(*decode_view(bytes)), message);
  }
}

TEST(Encoder, WritesStorageKindsAsInTheTable) {
  for (const auto& [kind, hex] : std::vector<std::pair<StorageKind, std::string_view>>{
           {StorageKind::system(), "00"},
           {StorageKind::pinned(), "01"},
           {StorageKind::device(0), "0200"},
           {StorageKind::device(300), "02fb2c01"},
           {StorageKind::device(0xFFFF'FFFF), "02fcffffffff"},
           {StorageKind::disk(5), "0305"},
           {StorageKind::disk(1ULL << 40), "03fd0000000000010000"},
           {StorageKind::disk(kMax64), "03fdffffffffffffffff"},
       }) {
    RdmaLayoutDescriptors message = samples::seed_message();
    message.layouts[0].layout.location = kind;
    const Bytes bytes = Pieces{}.with("location", from_hex(hex)).bytes();
    EXPECT_EQ(encoded(message), to_hex(bytes));
    ASSERT_TRUE(decode_view(bytes));
    EXPECT_EQ(to_owned(*decode_view(bytes)), message);
  }
}

TEST(Encoder, WritesEachEnumValueAsItsIndex) {
  const auto expect = [](std::string_view piece, std::size_t index, const auto& set) {
    RdmaLayoutDescriptors message = samples::seed_message();
    set(message.layouts[0].layout);
    const Bytes bytes = Pieces{}.with(piece, {static_cast<std::byte>(index)}).bytes();
    EXPECT_EQ(encoded(message), to_hex(bytes)) << piece << ' ' << index;
    ASSERT_TRUE(decode_view(bytes));
    EXPECT_EQ(to_owned(*decode_view(bytes)), message);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    expect("inner_shape", i, [i](LayoutDescriptor& layout) {
      layout.layout_config.inner_shape = static_cast<layout::InnerShape>(i);
    });
  }
  for (std::size_t i = 0; i < 6; ++i) {
    expect("mem_type", i, [i](LayoutDescriptor& layout) {
      layout.nixl_metadata.mem_type = static_cast<MemType>(i);
    });
  }
  expect("details", 1, [](LayoutDescriptor& layout) {
    layout.layout_type_details = LayerSeparateDetails{layout::BlockDimension::kBlockIsFirstDim};
  });
}

TEST(Encoder, WritesLengthsAtTheirBoundaries) {
  for (const std::size_t length : {0U, 250U, 251U, 4096U}) {
    RdmaLayoutDescriptors message = samples::seed_message();
    message.nixl_metadata.assign(length, std::byte{7});
    message.worker_address.nixl_agent_name.assign(length, 'x');
    message.layouts[0].layout.nixl_metadata.agent_name.assign(length, 'y');
    message.layouts[0].layout.memory_descriptors.assign(length, Region{1, 2});
    Bytes regions = shortest(length);
    for (std::size_t i = 0; i < length; ++i) {
      regions.push_back(std::byte{1});
      regions.push_back(std::byte{2});
    }
    const Bytes bytes = Pieces{}
                            .with("blob_length", shortest(length))
                            .with("blob", Bytes(length, std::byte{7}))
                            .with("agent_length", shortest(length))
                            .with("agent", Bytes(length, std::byte{'x'}))
                            .with("name_length", shortest(length))
                            .with("name", Bytes(length, std::byte{'y'}))
                            .with("region_count", regions)
                            .with("addr", {})
                            .with("size", {})
                            .bytes();
    EXPECT_EQ(encoded(message), to_hex(bytes));
    ASSERT_TRUE(decode_view(bytes));
    EXPECT_EQ(to_owned(*decode_view(bytes)), message);
  }
}

TEST(Encoder, WritesAViewAsItWritesWhatOwns) {
  for (const RdmaLayoutDescriptors& message : {samples::seed_message(), samples::clean_message()}) {
    const Bytes bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                     MessageFormat::kA);
    const auto view = decode_view(bytes);
    ASSERT_TRUE(view);
    EXPECT_EQ(encode(*view), bytes);
  }
}

}  // namespace
}  // namespace kvferry::wire
