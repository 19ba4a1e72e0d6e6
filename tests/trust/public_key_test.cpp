// SPDX-License-Identifier: Apache-2.0
// Goal: whatever is a PublicKey can be one, and has one text.
// Method: RFC 8032's keys, and points that no key may be: of small order, off the main subgroup,
// in a second encoding.
#include "kvferry/trust/public_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <string>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;

// One of the two points of order 8 with a positive x.
constexpr std::string_view kOrder8{
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"};

TEST(PublicKey, HasOneText) {
  for (const Vector& vector : kVectors) {
    const Result<PublicKey> key = PublicKey::from_bytes(from_hex(vector.public_key));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->to_string(), vector.public_key);
    const Result<PublicKey> parsed = PublicKey::parse(vector.public_key);
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(*parsed, *key);
  }
  std::string text{kVectors[0].public_key};
  text[0] = 'D';
  EXPECT_THAT(PublicKey::parse(text), FailsWith(ErrorCode::kCorrupt, "64 lower-case hexadecimal"));
}

TEST(PublicKey, IsRefusedAtEveryOtherLength) {
  const std::string text = std::string{kVectors[0].public_key} + "00";
  const std::vector<std::byte> bytes = from_hex(text);
  for (std::size_t size = 0; size <= text.size(); ++size) {
    EXPECT_EQ(PublicKey::parse(text.substr(0, size)).has_value(), size == 64) << size;
  }
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto key = PublicKey::from_bytes(std::span{bytes}.first(size));
    if (size != PublicKey::kBytes) {
      EXPECT_THAT(key, FailsWith(ErrorCode::kCorrupt, std::to_string(size) + " bytes of 32"));
    } else {
      EXPECT_THAT(key, IsOk());
    }
  }
}

TEST(PublicKey, IsNoPointOfSmallOrder) {
  for (const std::string_view text :
       {std::string_view{"0000000000000000000000000000000000000000000000000000000000000000"},
        std::string_view{"0100000000000000000000000000000000000000000000000000000000000000"},
        std::string_view{"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        std::string_view{"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
        kOrder8}) {
    EXPECT_THAT(PublicKey::parse(text),
                FailsWith(ErrorCode::kCorrupt, std::string{text} + " is no point"));
  }
}

TEST(PublicKey, IsNoPointBesideTheMainSubgroup) {
  const std::vector<std::byte> key = from_hex(kVectors[0].public_key);
  const std::vector<std::byte> torsion = from_hex(kOrder8);
  std::array<std::byte, PublicKey::kBytes> sum{};
  ASSERT_EQ(
      ::crypto_core_ed25519_add(octets(sum.data()), octets(key.data()), octets(torsion.data())), 0);
  EXPECT_THAT(PublicKey::from_bytes(sum), FailsWith(ErrorCode::kCorrupt, "is no point"));
}

TEST(PublicKey, HasNoSecondEncoding) {
  // y = 2^255 - 19 + 3 stands for the point with y = 3, and y = p itself for 0.
  for (const std::string_view text :
       {"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}) {
    EXPECT_THAT(PublicKey::parse(text), FailsWith(ErrorCode::kCorrupt, "is no point"));
  }
}

TEST(PublicKey, IsSavedForAllToReadAndLoaded) {
  const TemporaryDirectory base;
  const std::string file = base.path() + "/a.pub";
  const Result<PublicKey> key = PublicKey::parse(kVectors[0].public_key);
  ASSERT_THAT(key, IsOk());
  const mode_t old = ::umask(022);
  EXPECT_THAT(key->save(file), IsOk());
  ::umask(old);
  EXPECT_EQ(mode_of(file), 0644U);
  EXPECT_EQ(read_text(file), public_file(kVectors[0]));
  const Result<PublicKey> loaded = PublicKey::load(file);
  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(*loaded, *key);
  EXPECT_THAT(key->save(file), FailsWith(ErrorCode::kRefused, file + ": is there already"));
}

TEST(PublicKey, IsNotLoadedFromADamagedFile) {
  const TemporaryDirectory base;
  const std::string file = base.path() + "/a.pub";
  write_text(file, public_file(kVectors[0]) + "x", 0644);
  EXPECT_THAT(PublicKey::load(file), FailsWith(ErrorCode::kCorrupt, file + ": more than 94 bytes"));
  write_text(file, secret_file(kVectors[0]), 0600);
  EXPECT_THAT(PublicKey::load(file), FailsWith(ErrorCode::kCorrupt, file + ": line 1"));
  EXPECT_THAT(PublicKey::load(file + "x"), FailsWith(ErrorCode::kUnavailable, file + "x: No such"));
}

}  // namespace
}  // namespace kvferry::trust
