// SPDX-License-Identifier: Apache-2.0
// Goal: the format of every message is found, and what fits both is said to. Method: each message
// of vectors.json, of hostile.json and of bitflips.json, without saying which format it is.
#include <gtest/gtest.h>

#include <string>

#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "vectors.hpp"

namespace kvferry::wire::golden {
namespace {

constexpr MessageFormat kA = MessageFormat::kA;
constexpr MessageFormat kB = MessageFormat::kB;

MessageFormat format_of(const Json& row) { return row.at("format") == "A" ? kA : kB; }

TEST(Recognition, FindsTheFormatOfEveryMessageThatHasLayouts) {
  std::size_t ambiguous{0};
  for (const Json& row : read_json("vectors.json")) {
    const std::string name = row.at("name");
    SCOPED_TRACE(name);
    const Bytes bytes = read_message(name + ".bin");
    const bool has_layouts = !row.at("value").at("layouts").empty();
    for (const MessageFormat preferred : {kA, kB}) {
      const auto view = decode_view(bytes, {}, preferred);
      ASSERT_TRUE(view) << view.error().message;
      EXPECT_EQ(view->format, has_layouts ? format_of(row) : preferred);
      EXPECT_EQ(view->is_ambiguous, !has_layouts);
      EXPECT_EQ(encode(*view), bytes);
    }
    ambiguous += has_layouts ? 0U : 1U;
  }
  EXPECT_EQ(ambiguous, 28U);
}

/// The rule without shortcuts: both readings, and which of them break no rule.
struct Trial {
  explicit Trial(const Bytes& bytes) : a{decode_view_as(kA, bytes)}, b{decode_view_as(kB, bytes)} {}

  static bool is_clean(const Result<MessageView>& view) {
    bool clean = view.has_value();
    for (const Lint& broken : clean ? lint(*view) : std::vector<Lint>{}) {
      clean = clean && !broken.refuses_import;
    }
    return clean;
  }

  Result<MessageView> a;
  Result<MessageView> b;
};

void expect_the_rule(const Bytes& bytes, std::size_t& both) {
  const Trial trial{bytes};
  for (const MessageFormat preferred : {kA, kB}) {
    const auto view = decode_view(bytes, {}, preferred);
    ASSERT_EQ(view.has_value(), trial.a || trial.b);
    if (!view) {
      continue;
    }
    if (trial.a && trial.b && !trial.a->layouts().empty()) {
      ++both;
      const bool clean_a = Trial::is_clean(trial.a);
      const bool clean_b = Trial::is_clean(trial.b);
      EXPECT_FALSE(clean_a && clean_b);
      // The reading that names its own agent is taken without a look at the other's rules.
      if (clean_a != clean_b) {
        EXPECT_EQ(view->format, clean_a ? kA : kB);
        EXPECT_FALSE(view->is_ambiguous);
      }
    } else if (trial.a.has_value() != trial.b.has_value()) {
      EXPECT_EQ(view->format, trial.a ? kA : kB);
      EXPECT_FALSE(view->is_ambiguous);
    }
  }
}

TEST(Recognition, AgreesWithReadingHostileMessagesBothWays) {
  std::size_t both{0};
  for (const Json& row : read_json("hostile.json")) {
    SCOPED_TRACE(row.at("name"));
    expect_the_rule(from_hex(row.at("hex")), both);
  }
  for (const Json& base : read_json("bitflips.json")) {
    const Bytes bytes = read_message(base.at("base").get<std::string>() + ".bin");
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      SCOPED_TRACE("bit " + std::to_string(bit));
      Bytes flipped = bytes;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      expect_the_rule(flipped, both);
    }
  }
  RecordProperty("fit_both", static_cast<int>(both));
}

}  // namespace
}  // namespace kvferry::wire::golden
