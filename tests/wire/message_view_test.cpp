// SPDX-License-Identifier: Apache-2.0
// Goal: decoding gives every field of a message, refuses whatever is not exactly one message, and
// says where. Method: the seed's message with single pieces replaced, cut at every length, and with
// every bit turned over.
#include "kvferry/wire/message_view.hpp"

#include "samples.hpp"
#include "wire/encoder.hpp"

namespace kvferry::wire {
namespace {

using samples::Bytes;
using samples::expect_fails;
using samples::from_hex;
using samples::marked;
using samples::Pieces;
using samples::shortest;

Bytes encoded(const RdmaLayoutDescriptors& message) {
  return encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                      MessageFormat::kA);
}

/// One message of each kind: the seed's, one without rule breaks, none and several layouts.
std::vector<Bytes> messages() {
  RdmaLayoutDescriptors several = samples::clean_message();
  several.layouts.push_back(samples::seed_local(7, 5));
  several.layouts.push_back(several.layouts[0]);
  several.layouts[1].layout.location = StorageKind::disk(1ULL << 40U);
  several.layouts[1].layout.memory_descriptors.clear();
  return {Pieces{}.bytes(), encoded(samples::clean_message()), encoded(several),
          from_hex("2a047465737403010203"
                   "00")};
}

void expect_refused(const Bytes& bytes, std::string_view message) {
  const auto view = decode_view(bytes);
  ASSERT_FALSE(view) << "accepted: " << samples::to_hex(bytes);
  EXPECT_EQ(view.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(view.error().message, message);
}

TEST(MessageView, TakesItsArraysAlongAndIsEmptyOnceItWasMovedFrom) {
  for (const std::size_t layouts : {1U, 3U}) {
    RdmaLayoutDescriptors message = samples::clean_message();
    message.layouts.assign(layouts, message.layouts[0]);
    message.layouts[0].layout.memory_descriptors.resize(1);
    const Bytes bytes = encoded(message);
    Result<MessageView> read = decode_view_as(MessageFormat::kA, bytes);
    ASSERT_TRUE(read) << read.error().message;
    const MessageView view = *std::move(read);
    EXPECT_TRUE(to_owned(view) == message);
    EXPECT_TRUE(read->layouts().empty());
    EXPECT_TRUE(read->regions().empty());
  }
}

TEST(DecodeView, GivesEveryField) {
  const Bytes bytes = encoded(samples::clean_message());
  const auto view = decode_view(bytes);
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->worker_id, WorkerId{7});
  EXPECT_EQ(view->nixl_agent_name, "worker-7");
  EXPECT_EQ(samples::to_hex(view->nixl_metadata), "aabb");
  ASSERT_EQ(view->layouts().size(), 1U);
  const LocalLayoutView& layout = view->layouts()[0];
  EXPECT_EQ(layout.handle, (LayoutHandle{WorkerId{7}, LayoutId{0}}));
  EXPECT_EQ(layout.version, 1U);
  EXPECT_EQ(layout.layout_config, samples::clean_message().layouts[0].layout.layout_config);
  EXPECT_EQ(layout.location, StorageKind::device(3));
  EXPECT_EQ(layout.agent_name, "worker-7");
  EXPECT_EQ(layout.mem_type, MemType::kVram);
  EXPECT_EQ(layout.device_id, 3U);
  EXPECT_EQ(layout.layout_type_details,
            LayoutTypeDetails{LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim}});
  const auto regions = view->regions_of(layout);
  ASSERT_EQ(regions.size(), 3U);
  EXPECT_EQ(regions[2], (Region{12'288, 256}));
}

TEST(DecodeView, PointsIntoTheMessage) {
  const Bytes bytes = Pieces{}.bytes();
  const auto view = decode_view(bytes);
  ASSERT_TRUE(view);
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  EXPECT_EQ(view->nixl_agent_name.data(), begin + Pieces{}.offset("agent"));
  EXPECT_EQ(view->nixl_metadata.data(), bytes.data() + Pieces{}.offset("blob"));
  EXPECT_EQ(view->layouts()[0].agent_name.data(), begin + Pieces{}.offset("name"));
}

TEST(DecodeView, KeepsRegionsOfAllLayoutsInOneArray) {
  const Bytes bytes = messages()[2];
  const auto view = decode_view(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->regions().size(), 6U);
  EXPECT_EQ(view->regions_of(view->layouts()[0]).data(), view->regions().data());
  EXPECT_TRUE(view->regions_of(view->layouts()[1]).empty());
  EXPECT_EQ(view->regions_of(view->layouts()[2]).data(), view->regions().data() + 3);
}

TEST(DecodeView, RefusesAMessageCutAtAnyLength) {
  for (const Bytes& bytes : messages()) {
    ASSERT_TRUE(decode_view(bytes));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)};
      expect_fails(decode_view(cut), ErrorCode::kCorrupt, " at ");
    }
  }
}

TEST(DecodeView, SurvivesEveryFlippedBit) {
  for (const Bytes& bytes : messages()) {
    std::size_t accepted{0};
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes flipped = bytes;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      const auto view = decode_view(flipped);
      if (view) {
        ++accepted;
        EXPECT_TRUE(decode_view(encode(*view)));
      } else {
        EXPECT_EQ(view.error().code, ErrorCode::kCorrupt);
        EXPECT_FALSE(view.error().message.empty());
      }
    }
    EXPECT_GT(accepted, 0U);
  }
}

TEST(DecodeView, RefusesTrailingBytes) {
  for (Bytes bytes : messages()) {
    const std::size_t length = bytes.size();
    bytes.push_back(std::byte{0});
    bytes.push_back(std::byte{0xFF});
    expect_refused(bytes, "message at " + std::to_string(length) + ": 2 bytes after the end");
  }
}

const std::vector<std::string_view>& integer_pieces() {
  static const std::vector<std::string_view> all{
      "worker_id", "agent_length", "blob_length",  "layout_count", "handle",
      "version",   "num_blocks",   "num_layers",   "outer_dim",    "page_size",
      "inner_dim", "alignment",    "inner_shape",  "location",     "dtype_width_bytes",
      "mem_type",  "device_id",    "name_length",  "region_count", "addr",
      "size",      "details",      "details_inner"};
  return all;
}

/// What the seed's message says there.
std::uint64_t value_of(std::string_view piece) {
  if (piece == "worker_id" || piece == "handle") return 100;
  if (piece == "agent_length") return 10;
  if (piece == "blob_length") return 5;
  if (piece == "addr" || piece == "size") return 4096;
  if (piece == "page_size" || piece == "name_length") return 4;
  if (piece == "inner_dim") return 8;
  if (piece == "num_blocks" || piece == "num_layers" || piece == "outer_dim" ||
      piece == "dtype_width_bytes") {
    return 2;
  }
  if (piece == "layout_count" || piece == "version" || piece == "alignment" ||
      piece == "region_count") {
    return 1;
  }
  return 0;
}

int widest_marker(std::string_view piece) {
  if (piece == "handle") return 254;
  const bool is_u32 = piece == "version" || piece == "inner_shape" || piece == "location" ||
                      piece == "mem_type" || piece == "details" || piece == "details_inner";
  return is_u32 ? 252 : 253;
}

TEST(DecodeView, AcceptsWiderIntegersWhereTheTypeAllowsThem) {
  for (const std::string_view piece : integer_pieces()) {
    for (int marker = 251; marker <= 254; ++marker) {
      SCOPED_TRACE(std::string{piece} + " behind " + std::to_string(marker));
      const Bytes bytes = Pieces{}.with(piece, marked(value_of(piece), marker)).bytes();
      const auto view = decode_view(bytes);
      ASSERT_EQ(bool{view}, marker <= widest_marker(piece));
      if (view && piece == "handle") {
        EXPECT_EQ(view->layouts()[0].handle, (LayoutHandle{WorkerId{100}, LayoutId{0}}));
      } else if (view) {
        EXPECT_EQ(to_owned(*view), samples::seed_message());
        EXPECT_EQ(is_canonical(*view, bytes), value_of(piece) == 4096 && marker == 251);
      } else {
        EXPECT_NE(view.error().message.find("integer marker " + std::to_string(marker)),
                  std::string::npos);
      }
    }
  }
}

TEST(DecodeView, RefusesTheReservedMarkerEverywhere) {
  for (const std::string_view piece : integer_pieces()) {
    Bytes bytes = Pieces{}.bytes();
    bytes[Pieces{}.offset(piece)] = std::byte{0xFF};
    expect_fails(decode_view(bytes), ErrorCode::kCorrupt,
                 "at " + std::to_string(Pieces{}.offset(piece)) + ": integer marker 255");
  }
}

TEST(DecodeView, NamesTheFieldOfAnAnnouncedLengthThatIsNotThere) {
  const Bytes huge = shortest(1ULL << 60U);
  expect_refused(Pieces{}.with("agent_length", huge).bytes(),
                 "worker_address.nixl_agent_name at 1: length 1152921504606846976 of 60 left");
  expect_refused(Pieces{}.with("blob_length", huge).bytes(),
                 "nixl_metadata at 12: length 1152921504606846976 of 49 left");
  expect_refused(Pieces{}.with("layout_count", huge).bytes(),
                 "layouts at 18: count 1152921504606846976 of at most 2 in what is left");
  expect_refused(
      Pieces{}.with("name_length", huge).bytes(),
      "layouts[0].layout.nixl_metadata.agent_name at 46: length 1152921504606846976 of 15 left");
  expect_refused(Pieces{}.with("region_count", huge).bytes(),
                 "layouts[0].layout.memory_descriptors at 53: count 1152921504606846976 of at most "
                 "4 in what is left");
}

TEST(DecodeView, NamesTheFieldOfAnUnknownVariant) {
  const auto refused = [](std::string_view piece, std::uint64_t index, std::string_view message) {
    expect_refused(Pieces{}.with(piece, shortest(index)).bytes(), message);
  };
  refused("inner_shape", 3, "layouts[0].layout.layout_config.inner_shape at 44: variant 3 of 3");
  refused("location", 4, "layouts[0].layout.location at 45: variant 4 of 4");
  refused("mem_type", 6, "layouts[0].layout.nixl_metadata.mem_type at 51: variant 6 of 6");
  refused("details", 2, "layouts[0].layout.layout_type_details at 60: variant 2 of 2");
  refused("details_inner", 1,
          "layouts[0].layout.layout_type_details.FullyContiguous.block_format at 61: variant 1 of "
          "1");
  expect_refused(
      Pieces{}.with("details", from_hex("01")).with("details_inner", from_hex("02")).bytes(),
      "layouts[0].layout.layout_type_details.LayerSeparate.block_dim at 61: variant 2 "
      "of 2");
  expect_refused(Pieces{}.with("location", from_hex("02fd0000000000000000")).bytes(),
                 "layouts[0].layout.location.Device at 46: integer marker 253 of at most 252");
}

TEST(DecodeView, NamesTheRegionAndTheLayoutThatAreCut) {
  Bytes bytes = messages()[2];
  // The last layout ends: 3 regions, details (2 bytes). Take the size of its last region away.
  bytes.erase(bytes.end() - 5, bytes.end());
  expect_fails(decode_view(bytes), ErrorCode::kCorrupt,
               "layouts[2].layout.memory_descriptors[2].size at ");
}

TEST(DecodeView, RefusesNamesThatAreNotUtf8) {
  expect_refused(Pieces{}.with("agent", from_hex("776f726b65725f3130ff")).bytes(),
                 "worker_address.nixl_agent_name at 1: not UTF-8 after 9 of 10 bytes");
  expect_refused(Pieces{}
                     .with("name", from_hex("eda080"
                                            "61"))
                     .bytes(),
                 "layouts[0].layout.nixl_metadata.agent_name at 46: not UTF-8 after 0 of 4 bytes");
}

TEST(DecodeView, HonoursEachLimit) {
  const Bytes bytes = encoded(samples::clean_message());
  const auto exact = [&bytes] {
    WireLimits limits;
    limits.message_bytes = bytes.size();
    limits.agent_name_bytes = 8;
    limits.nixl_metadata_bytes = 2;
    limits.layouts = 1;
    limits.descriptors_per_layout = 3;
    return limits;
  };
  EXPECT_TRUE(decode_view(bytes, exact()));
  const auto refused = [&](std::uint64_t WireLimits::*limit, std::string_view message) {
    WireLimits limits = exact();
    limits.*limit -= 1;
    expect_fails(decode_view(bytes, limits), ErrorCode::kCorrupt, message);
  };
  refused(&WireLimits::message_bytes, "message at 0: ");
  refused(&WireLimits::agent_name_bytes,
          "worker_address.nixl_agent_name at 1: 8 is above the limit of 7");
  refused(&WireLimits::nixl_metadata_bytes, "nixl_metadata at 10: 2 is above the limit of 1");
  refused(&WireLimits::layouts, "layouts at 13: 1 is above the limit of 0");
  refused(&WireLimits::descriptors_per_layout,
          "layouts[0].layout.memory_descriptors at 37: 3 is above the limit of 2");
}

TEST(DecodeView, LimitsLayoutNamesToo) {
  const Bytes bytes =
      Pieces{}.with("agent_length", from_hex("01")).with("agent", from_hex("61")).bytes();
  WireLimits limits;
  limits.agent_name_bytes = 3;
  expect_fails(decode_view(bytes, limits), ErrorCode::kCorrupt,
               "layouts[0].layout.nixl_metadata.agent_name at 37: 4 is above the limit of 3");
}

TEST(DecodeView, HasTheDocumentedLimitsByDefault) {
  const WireLimits limits;
  EXPECT_EQ(limits.message_bytes, 67'108'864U);
  EXPECT_EQ(limits.agent_name_bytes, 4096U);
  EXPECT_EQ(limits.nixl_metadata_bytes, 33'554'432U);
  EXPECT_EQ(limits.layouts, 65'536U);
  EXPECT_EQ(limits.descriptors_per_layout, 65'536U);
}

TEST(IsCanonical, TellsShortestFormsFromOthers) {
  for (const Bytes& bytes : messages()) {
    EXPECT_TRUE(is_canonical(*decode_view(bytes), bytes));
  }
  const Bytes wide = Pieces{}.with("version", marked(1, 251)).bytes();
  EXPECT_FALSE(is_canonical(*decode_view(wide), wide));
}

}  // namespace
}  // namespace kvferry::wire
