// SPDX-License-Identifier: Apache-2.0
// Goal: a record survives the way through JSON, and whatever else lies there is refused by name.
// Method: round trip; each field taken out and given another type; cut at every length; every bit
// flipped; the digest against the published value for "abc".
#include "exchange/record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

namespace kvferry::exchange {
namespace {

using testing::HasSubstr;

StoredRecord example() {
  StoredRecord record;
  record.worker = {"prefill 0", WorkerId{0xFFFFFFFFFFFFFFFFU}, Epoch{1, 0xABCDEF}, 3};
  record.owner = {"5f2c5e2a-8b0a-4f6e-9a40-0d3f6f3f9d11", 4711, 123456};
  record.formats = {{"a", {3, "06b05ab6733a618578af5f94892f3950"}}, {"kvfy", {0, "00"}}};
  return record;
}

TEST(Record, SurvivesTheWayThroughJson) {
  const Result<StoredRecord> back = decode_record(encode_record(example()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, example());
}

TEST(Record, PassesOverUnknownFields) {
  nlohmann::json json = nlohmann::json::parse(encode_record(example()));
  json["lease_ms"] = 5000;
  const Result<StoredRecord> back = decode_record(json.dump());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, example());
}

TEST(Record, NamesTheFieldThatIsMissingOrOfAnotherType) {
  const nlohmann::json whole = nlohmann::json::parse(encode_record(example()));
  for (const auto& item : whole.items()) {
    nlohmann::json json = whole;
    json.erase(item.key());
    const Result<StoredRecord> missing = decode_record(json.dump());
    ASSERT_FALSE(missing) << item.key();
    EXPECT_EQ(missing.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(missing.error().message, HasSubstr(item.key() + ": "));
    json[item.key()] = nlohmann::json::array();
    const Result<StoredRecord> other = decode_record(json.dump());
    ASSERT_FALSE(other) << item.key();
    EXPECT_THAT(other.error().message, HasSubstr(item.key() + ": "));
  }
}

struct BadField {
  const char* field;
  nlohmann::json value;
};

TEST(Record, RefusesValuesThatCannotBe) {
  const std::array<BadField, 9> bad{{{"version", 2},
                                     {"name", "a/b"},
                                     {"worker_id", "18446744073709551616"},
                                     {"worker_id", "7x"},
                                     {"epoch", "0123"},
                                     {"epoch", "g0000000000000000000000000000000"},
                                     {"generation", -1},
                                     {"formats", {{"../a", nlohmann::json::object()}}},
                                     {"formats", {{"a", {{"bytes", 3}}}}}}};
  for (const BadField& entry : bad) {
    nlohmann::json json = nlohmann::json::parse(encode_record(example()));
    json[entry.field] = entry.value;
    const Result<StoredRecord> result = decode_record(json.dump());
    ASSERT_FALSE(result) << json;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << json;
  }
}

TEST(Record, CutAtEveryLengthIsRefused) {
  const std::string text = encode_record(example());
  for (std::size_t length = 0; length + 2 < text.size(); ++length) {
    EXPECT_FALSE(decode_record(text.substr(0, length))) << "length " << length;
  }
}

TEST(Record, WithAnyBitFlippedIsReadOrRefusedAsCorrupt) {
  const std::string text = encode_record(example());
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const Result<StoredRecord> result = decode_record(flipped);
    if (!result) {
      EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << "bit " << bit;
    }
  }
}

TEST(Record, DigestIsTheOneOfTheSpecification) {
  const std::array<std::byte, 3> abc{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  EXPECT_EQ(digest_of(abc), (FormatDigest{3, "06b05ab6733a618578af5f94892f3950"}));
}

TEST(Record, FormatNamesAreShortLowerCaseAndNotTheRecordsSuffix) {
  for (const char* good : {"a", "b", "kvfy", "12345678"}) {
    EXPECT_TRUE(validate_format(good)) << good;
  }
  for (const char* bad : {"", "A", "a.b", "a/b", "123456789", "json", "a "}) {
    EXPECT_FALSE(validate_format(bad)) << bad;
  }
}

TEST(Record, IsNamedByItsFile) {
  EXPECT_EQ(record_file("prefill 0"), "prefill 0.json");
  EXPECT_EQ(name_of_record("prefill 0.json"), "prefill 0");
  for (const char* other : {"", "json", ".json", "w.a", "w.json.a", "a.b.json", ".tmp-w.json"}) {
    EXPECT_EQ(name_of_record(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace kvferry::exchange
