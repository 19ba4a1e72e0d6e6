// SPDX-License-Identifier: Apache-2.0
// Goal: key files have one form; whatever else a file holds is refused, and no error tells a
// secret.
// Method: golden files of RFC 8032's keys, written here by hand; each cut off at every length, each
// with every bit turned, and each with what an editor would do to it.
#include "trust/key_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kvferry/testing/matchers.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::Not;

std::string with_bit_turned(std::string text, std::size_t bit) {
  text[bit / 8] = static_cast<char>(static_cast<unsigned char>(text[bit / 8]) ^ (1U << (bit % 8)));
  return text;
}

std::string text_of(const SecretBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size()};
}

TEST(PublicFile, IsAsSpecified) {
  for (const Vector& vector : kVectors) {
    const Result<PublicKey> key = decode_public_file(public_file(vector));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->to_string(), vector.public_key);
    EXPECT_EQ(encode_public_file(*key), public_file(vector));
  }
  EXPECT_EQ(public_file(kVectors[0]).size(), 94U);
}

TEST(PublicFile, IsRefusedAtEveryOtherLength) {
  const std::string whole = public_file(kVectors[0]);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(decode_public_file(whole.substr(0, size)), FailsWith(ErrorCode::kCorrupt, ""))
        << size;
  }
  EXPECT_THAT(decode_public_file(whole.substr(0, 93)), FailsWith(ErrorCode::kCorrupt, "93 bytes"));
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_THAT(decode_public_file(whole + static_cast<char>(byte)),
                FailsWith(ErrorCode::kCorrupt, "more than 94 bytes"));
  }
}

TEST(PublicFile, WithOneBitTurnedIsRefusedOrAnotherKey) {
  const std::string whole = public_file(kVectors[0]);
  const Result<PublicKey> right = decode_public_file(whole);
  ASSERT_THAT(right, IsOk());
  std::size_t refused{0};
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    const Result<PublicKey> key = decode_public_file(with_bit_turned(whole, bit));
    if (key) {
      EXPECT_NE(*key, *right) << bit;
    } else {
      EXPECT_EQ(key.error().code, ErrorCode::kCorrupt);
      ++refused;
    }
  }
  // All 30 bytes of the frame, and half of the digits' bits at the very least.
  EXPECT_GT(refused, 8U * 30 + 4 * 64);
}

TEST(PublicFile, IsRefusedInAnyOtherForm) {
  const std::string digits{kVectors[0].public_key};
  const std::string header{"kvferry-public-key ed25519 1\n"};
  for (const std::string& text :
       {std::string{}, "\xef\xbb\xbf" + header + digits + "\n", header + digits + "\r\n",
        "kvferry-public-key ed25519 2\n" + digits + "\n", secret_file(kVectors[0]),
        "kvferry-public-key ed25519 1 \n" + digits, " " + header + digits,
        "\n" + header + digits}) {
    EXPECT_THAT(decode_public_file(text), FailsWith(ErrorCode::kCorrupt, "")) << text;
  }
  std::string upper = header + digits + "\n";
  upper[header.size()] = 'D';
  EXPECT_THAT(decode_public_file(upper),
              FailsWith(ErrorCode::kCorrupt, "line 2: public key: is not 64 lower-case"));
  EXPECT_THAT(decode_public_file(header + std::string(64, '0') + "\n"),
              FailsWith(ErrorCode::kCorrupt, "line 2: public key: 00000000"));
  EXPECT_THAT(decode_public_file(header + digits + " "),
              FailsWith(ErrorCode::kCorrupt, "no line end at byte 93"));
}

TEST(SecretFile, IsAsSpecified) {
  for (const Vector& vector : kVectors) {
    const Result<SecretKey> key = decode_secret_file(secret_file(vector));
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->public_key.to_string(), vector.public_key);
    const Result<SecretBytes> text = encode_secret_file(*key);
    ASSERT_THAT(text, IsOk());
    EXPECT_EQ(text_of(*text), secret_file(vector));
  }
  EXPECT_EQ(secret_file(kVectors[0]).size(), 159U);
}

TEST(SecretFile, IsRefusedAtEveryOtherLength) {
  const std::string whole = secret_file(kVectors[0]);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(decode_secret_file(whole.substr(0, size)), FailsWith(ErrorCode::kCorrupt, ""))
        << size;
  }
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_THAT(decode_secret_file(whole + static_cast<char>(byte)),
                FailsWith(ErrorCode::kCorrupt, "more than 159 bytes"));
  }
}

TEST(SecretFile, IsRefusedWithAnyBitTurned) {
  const std::string whole = secret_file(kVectors[0]);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    EXPECT_THAT(decode_secret_file(with_bit_turned(whole, bit)), FailsWith(ErrorCode::kCorrupt, ""))
        << bit;
  }
  std::string other_seed = whole;
  other_seed[29] = '8';
  EXPECT_THAT(decode_secret_file(other_seed),
              FailsWith(ErrorCode::kCorrupt, "line 3: is not the public key of the secret key"));
}

TEST(SecretFile, IsNotRepeatedByErrors) {
  const std::string whole = secret_file(kVectors[0]);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = '!';
    const Result<SecretKey> key = decode_secret_file(damaged);
    ASSERT_FALSE(key);
    for (std::size_t digit = 0; digit + 4 <= kVectors[0].seed.size(); ++digit) {
      EXPECT_THAT(key.error().message,
                  Not(HasSubstr(std::string{kVectors[0].seed.substr(digit, 4)})));
    }
  }
  const Result<SecretKey> key = decode_secret_file(std::string{kVectors[0].seed});
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().message, "line 1: is not 'kvferry-secret-key ed25519 1'");
}

}  // namespace
}  // namespace kvferry::trust
