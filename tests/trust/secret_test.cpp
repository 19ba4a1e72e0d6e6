// SPDX-License-Identifier: Apache-2.0
// Goal: the same seed is always the same key, two drawn keys never are, and secret memory cannot be
// left by accident.
// Method: RFC 8032's vectors; a write past the end, in a child process.
#include "trust/secret.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "kvferry/testing/matchers.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TEST(SecretKey, FollowsFromItsSeed) {
  for (const Vector& vector : kVectors) {
    const Result<SecretKey> key = SecretKey::from_seed(from_hex(vector.seed));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->public_key.to_string(), vector.public_key);
    EXPECT_EQ(encode_hex(key->seed()), vector.seed);
  }
}

TEST(SecretKey, IsDrawnAnewEachTime) {
  const Result<SecretKey> one = SecretKey::generate();
  const Result<SecretKey> other = SecretKey::generate();
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(other, IsOk());
  EXPECT_NE(encode_hex(one->seed()), encode_hex(other->seed()));
  EXPECT_NE(one->public_key, other->public_key);
}

TEST(SecretBytes, MoveWithoutBeingCopied) {
  Result<SecretBytes> bytes = SecretBytes::allocate(32);
  ASSERT_THAT(bytes, IsOk());
  const std::byte* const place = bytes->bytes().data();
  const SecretBytes moved = *std::move(bytes);
  EXPECT_EQ(moved.bytes().data(), place);
  EXPECT_EQ(moved.bytes().size(), 32U);
}

TEST(SecretBytes, AreAnErrorWhereThereIsNoMemory) {
  EXPECT_THAT(SecretBytes::allocate(std::numeric_limits<std::size_t>::max() / 2),
              FailsWith(ErrorCode::kUnavailable, "secret bytes"));
}

TEST(SecretBytesDeathTest, EndWhereNobodyCanRead) {
  const Result<SecretBytes> bytes = SecretBytes::allocate(32);
  ASSERT_THAT(bytes, IsOk());
  const volatile std::byte* const end = bytes->bytes().data() + 32;
  EXPECT_DEATH(static_cast<void>(*end), "");
}

}  // namespace
}  // namespace kvferry::trust
