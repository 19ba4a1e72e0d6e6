// SPDX-License-Identifier: Apache-2.0
// Goal: a message with any one bit turned over is refused, or read with the rules broken that it is
// said to break. Method: each row of bitflips.json.
#include <gtest/gtest.h>

#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

class Bitflips : public ::testing::TestWithParam<MessageFormat> {};

TEST_P(Bitflips, AreRefusedOrReadAsSaid) {
  std::size_t flips{0};
  for (const Json& base : rows_of(GetParam(), read_json("bitflips.json"))) {
    const Bytes bytes = read_message(base.at("base").get<std::string>() + ".bin");
    for (const Json& flip : base.at("flips")) {
      const auto bit = flip.at("bit").get<std::size_t>();
      SCOPED_TRACE("bit " + std::to_string(bit));
      Bytes flipped = bytes;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      const auto view = decode_view_as(GetParam(), flipped);
      ASSERT_EQ(view.has_value(), flip.at("kvferry_decode") == "ok")
          << (view ? "accepted" : view.error().message);
      if (view) {
        EXPECT_EQ(lint_of(*view), flip.at("lint"));
        EXPECT_EQ(encode(*view) == flipped, is_canonical(*view, flipped));
      }
      ++flips;
    }
  }
  EXPECT_EQ(flips, GetParam() == MessageFormat::kA ? 496U : 512U);
}

INSTANTIATE_TEST_SUITE_P(Original, Bitflips,
                         ::testing::Values(MessageFormat::kA, MessageFormat::kB), name_of_format);

}  // namespace
}  // namespace kvferry::wire::golden
