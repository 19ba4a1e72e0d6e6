// SPDX-License-Identifier: Apache-2.0
// Goal: a layout of an envelope that contradicts itself, or says what its readers need not know, is
//       refused with the field.
// Method: bodies built by hand, field by field.
#include "wire/envelope_layout.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "envelopes.hpp"
#include "kvferry/wire/envelope.hpp"

namespace kvferry::wire {
namespace {

using samples::body_with;
using samples::bytes_field;
using samples::expect_fails;
using samples::framed;
using samples::layout_with;
using samples::number_field;

std::string packed_numbers(std::uint32_t field, const std::vector<std::uint64_t>& numbers) {
  std::string bytes;
  for (const std::uint64_t number : numbers) {
    bytes += samples::little(number, 8);
  }
  return bytes_field(field, bytes);
}

/// A body with one layout and the features that it needs.
std::string body(std::string_view feature, std::string_view layout) {
  const std::string required = feature.empty() ? "" : bytes_field(8, feature);
  return body_with(required + bytes_field(10, layout_with(layout)));
}

void expect_corrupt(std::string_view feature, std::string_view layout, std::string_view message) {
  SCOPED_TRACE(message);
  const auto read = decode_envelope(framed(body(feature, layout)));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find(message), std::string::npos) << read.error().message;
}

/// What a strided layout of 2 blocks must have.
std::string strided(std::uint64_t num_heads, std::string_view more) {
  return number_field(6, 4) + number_field(8, 2) + number_field(9, 2) + number_field(10, 1) +
         number_field(11, 4) + number_field(12, 8) + number_field(13, 1) + number_field(14, 2) +
         (num_heads == 0 ? "" : number_field(15, num_heads)) + std::string{more};
}

const std::string kSteps =
    packed_numbers(27, {128, 64, 0, 16, 8}) + packed_numbers(28, {0, 0, 0, 0, 0});

TEST(EnvelopeLayout, OrderNeedsItsAxesAndOnlyACustomOneHasThem) {
  expect_corrupt("orders", number_field(7, 5), "layouts[0].axes at ");
  expect_corrupt("orders", number_field(7, 3) + bytes_field(22, std::string("\0\1\2\3", 4)),
                 "4 of 4, which only a custom order has");
  expect_corrupt("orders", number_field(7, 5) + bytes_field(22, std::string("\0\1\2\2", 4)),
                 "does not name each of 0 to 3 once");
  expect_corrupt("orders", number_field(7, 5) + bytes_field(22, std::string("\0\1\2\4", 4)),
                 "does not name each of 0 to 3 once");
  expect_corrupt("orders", number_field(7, 5) + bytes_field(22, "12345"), "length 5, limit 4");
}

TEST(EnvelopeLayout, PartsLieInTheModel) {
  expect_corrupt("parts", number_field(23, 1), "layouts[0].model_layers at ");
  expect_corrupt("parts", number_field(9, 2) + number_field(23, 3) + number_field(24, 4),
                 "4, and 2 from 3 on are here");
  expect_corrupt("parts", number_field(15, 2) + number_field(25, ~0ULL) + number_field(26, ~0ULL),
                 "layouts[0].model_heads at ");
  expect_corrupt("parts", number_field(26, 4), "4, where num_heads is not");
}

TEST(EnvelopeLayout, FeaturesAreSaid) {
  expect_corrupt("", number_field(7, 3), "required_features at ");
  expect_corrupt("parts", number_field(7, 3), "\"orders\", which a layout needs, is not there");
  expect_corrupt("", number_field(9, 2) + number_field(24, 4), "\"parts\", which a layout needs");
  expect_corrupt("", strided(2, kSteps), "\"strides\", which a layout needs");
  EXPECT_TRUE(decode_envelope(framed(body("orders", number_field(7, 3)))));
  EXPECT_TRUE(decode_envelope(framed(body("parts", number_field(7, 2)))))
      << "a feature that is not used";
  EXPECT_TRUE(decode_envelope(framed(body("strides", strided(2, kSteps)))));
}

/// A body with layouts that have ids and planes, in order, and the same axes; it says that planes
/// are needed, and perhaps another feature.
Result<Envelope> read_planes(const std::vector<std::string>& layouts,
                             std::string_view other_feature = "", bool said = true) {
  std::string body = other_feature.empty() ? "" : bytes_field(8, other_feature);
  body += said ? bytes_field(8, "planes") : "";
  for (const std::string& layout : layouts) {
    body += bytes_field(10, layout_with(layout));
  }
  return decode_envelope(framed(body_with(body)));
}

std::string plane(std::uint64_t id, std::string_view name, std::string_view more = "") {
  return number_field(1, id) + std::string{more} + bytes_field(32, name);
}

TEST(EnvelopeLayout, PlanesFollowTheirLayoutAndAgreeWithIt) {
  const std::string like =
      number_field(11, 4) + bytes_field(31, "full") + bytes_field(33, "model-a@1");
  const std::string data = number_field(1, 3) + like;
  const auto good = read_planes({data, plane(3, "scales", like), plane(3, "sums", like)});
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->layouts[2].plane, "sums");
  EXPECT_EQ(good->layouts[2].id, good->layouts[0].id);
  const std::string layers = number_field(9, 2);
  EXPECT_TRUE(read_planes({data + layers, plane(3, "scales", like + layers + number_field(24, 2))},
                          "parts"))
      << "all layers of the model, told in two ways";
  const auto refused = [](const Result<Envelope>& read, std::string_view message) {
    SCOPED_TRACE(message);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(read.error().message.find(message), std::string::npos) << read.error().message;
  };
  refused(read_planes({data, plane(3, "scales", like)}, "", false),
          "\"planes\", which a layout needs, is not there");
  refused(read_planes({plane(3, "scales", like)}), "layouts[0].id at ");
  refused(read_planes({data, plane(4, "scales", like)}),
          "4 is not that of the layout in front of it");
  refused(read_planes({data, plane(3, "scales", like), plane(3, "scales", like)}),
          "\"scales\" is that of layouts[1] too");
  refused(read_planes({data, plane(3, "scales", bytes_field(31, "full"))}),
          "layouts[1].page_size at ");
  refused(read_planes({data, plane(3, "scales", number_field(11, 4))}), "layouts[1].group at ");
  refused(read_planes({data, plane(3, "scales", like + bytes_field(33, "model-a@2"))}),
          "layouts[1].model at ");
  refused(read_planes({data, plane(3, "scales", like + number_field(24, 4))}),
          "layouts[1].model_layers at ");
  const std::string guards =
      "\x91\x01" + samples::little(64, 8) + "\x99\x01" + samples::little(8, 8);
  refused(read_planes({data, plane(3, "scales", like + guards)}), "a plane has none of its own");
  refused(read_planes({data, plane(3, std::string(65, 'x'), like)}), "layouts[1].plane at ");
  std::vector<std::string> many{data};
  for (int i = 0; i < 16; ++i) {
    many.push_back(plane(3, std::to_string(i), like));
  }
  EXPECT_TRUE(read_planes(many));
  many.push_back(plane(3, "one more", like));
  refused(read_planes(many), "is one of more than 16 of one layout");
}

TEST(EnvelopeLayout, StridesAreForStridedLayoutsAndAllThere) {
  expect_corrupt("strides", packed_numbers(27, {1}), "layouts[0].strides at ");
  expect_corrupt("strides", packed_numbers(28, {1}), "layouts[0].region_steps at ");
  expect_corrupt("strides", number_field(29, 1), "layouts[0].offset_bytes at ");
  expect_corrupt("strides", bytes_field(30, "x"), "layouts[0].packing at ");
  expect_corrupt("strides", strided(2, packed_numbers(27, {1, 2, 3, 4})), "4 of 5");
  expect_corrupt("strides", strided(2, packed_numbers(27, {1, 2, 3, 4, 5})), "0 of 5");
  expect_corrupt("strides",
                 strided(2, packed_numbers(27, {1, 2, 3, 4, 5}) +
                                packed_numbers(28, {0, 0, 0, 0, std::uint64_t{1} << 32U})),
                 "4294967296, at most 4294967295");
  expect_corrupt("strides", strided(2, kSteps + number_field(7, 1)), "strides say the order");
  expect_corrupt("strides", strided(2, kSteps + number_field(13, 2)), "2 is not 1");
  expect_corrupt("strides", strided(3, kSteps), "3 do not divide inner_dim 8");
  expect_corrupt("strides", strided(0, kSteps), "layouts[0].packing at ");
  expect_corrupt("strides", strided(2, kSteps + bytes_field(30, "x")), "layouts[0].packing at ");
  expect_corrupt("strides", strided(0, kSteps + bytes_field(30, "x") + number_field(11, ~0ULL)),
                 "8 for each of 18446744073709551615 tokens is more than 64 bits hold");
}

}  // namespace
}  // namespace kvferry::wire
