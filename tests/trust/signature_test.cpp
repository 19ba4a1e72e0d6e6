// SPDX-License-Identifier: Apache-2.0
// Goal: verify() accepts what the signer signed and nothing else.
// Method: RFC 8032's vectors as golden values; every bit of message, signature and key turned;
// every other length; signatures that only a careless verifier takes, computed from the secret key.
#include "kvferry/trust/signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "samples.hpp"
#include "trust/secret.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

void turn_bit(std::span<std::byte> bytes, std::size_t bit) {
  bytes[bit / 8] ^= std::byte{1} << (bit % 8);
}

class SignatureOfAMessage : public ::testing::Test {
 protected:
  const Vector& vector_ = kVectors[3];
  std::vector<std::byte> message_ = from_hex(vector_.message);
  Signature signature_ = signature_from(vector_.signature);
  PublicKey key_ = *PublicKey::parse(vector_.public_key);
};

TEST(Signature, IsGoodForEveryVectorOfTheRfc) {
  for (const Vector& vector : kVectors) {
    const Result<PublicKey> key = PublicKey::parse(vector.public_key);
    ASSERT_THAT(key, IsOk());
    EXPECT_THAT(verify(from_hex(vector.message), signature_from(vector.signature), *key), IsOk());
  }
}

TEST_F(SignatureOfAMessage, IsRefusedWithAnyBitOfTheMessageTurned) {
  for (std::size_t bit = 0; bit < 8 * message_.size(); ++bit) {
    turn_bit(message_, bit);
    EXPECT_THAT(verify(message_, signature_, key_),
                FailsWith(ErrorCode::kRefused, "signature is not good for these 64 bytes and key " +
                                                   std::string{vector_.public_key}))
        << bit;
    turn_bit(message_, bit);
  }
}

TEST_F(SignatureOfAMessage, IsRefusedWithAnyBitOfItTurned) {
  for (std::size_t bit = 0; bit < 8 * Signature::kBytes; ++bit) {
    turn_bit(signature_.bytes, bit);
    EXPECT_THAT(verify(message_, signature_, key_), FailsWith(ErrorCode::kRefused, "not good"))
        << bit;
    turn_bit(signature_.bytes, bit);
  }
}

TEST_F(SignatureOfAMessage, IsRefusedWithAnyBitOfTheKeyTurned) {
  std::vector<std::byte> bytes{key_.bytes().begin(), key_.bytes().end()};
  std::size_t keys{0};
  for (std::size_t bit = 0; bit < 8 * PublicKey::kBytes; ++bit) {
    turn_bit(bytes, bit);
    if (const Result<PublicKey> other = PublicKey::from_bytes(bytes)) {
      ++keys;
      EXPECT_THAT(verify(message_, signature_, *other), FailsWith(ErrorCode::kRefused, "not good"))
          << bit;
    }
    turn_bit(bytes, bit);
  }
  EXPECT_GT(keys, 0U);
}

TEST_F(SignatureOfAMessage, IsRefusedAtEveryOtherLength) {
  message_.push_back(std::byte{0});
  for (std::size_t size = 0; size <= message_.size(); ++size) {
    EXPECT_EQ(verify(std::span{message_}.first(size), signature_, key_).has_value(), size == 64)
        << size;
  }
}

TEST_F(SignatureOfAMessage, IsRefusedUnderAnotherKey) {
  EXPECT_THAT(verify(message_, signature_, *PublicKey::parse(kVectors[0].public_key)),
              FailsWith(ErrorCode::kRefused, "not good"));
}

TEST_F(SignatureOfAMessage, HasNoSecondForm) {
  // S + L is S where only the remainder counts. L = 2^252 + 2774...8493, RFC 8032, section 5.1.
  const std::vector<std::byte> order =
      from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry{0};
  for (std::size_t i = 0; i < order.size(); ++i) {
    carry +=
        std::to_integer<unsigned>(signature_.bytes[32 + i]) + std::to_integer<unsigned>(order[i]);
    signature_.bytes[32 + i] = static_cast<std::byte>(carry & 0xffU);
    carry >>= 8U;
  }
  ASSERT_EQ(carry, 0U);
  EXPECT_THAT(verify(message_, signature_, key_), FailsWith(ErrorCode::kRefused, "not good"));
}

/// The signature that the holder of the secret key gets with `nonce_point` as R and 0 as its
/// logarithm: S = H(R, A, M) * a.
Signature signature_with(std::span<const std::byte> nonce_point, const Vector& vector) {
  const std::vector<std::byte> seed = from_hex(vector.seed);
  std::array<std::byte, 64> secret{};
  ::crypto_hash_sha512(octets(secret.data()), octets(seed.data()), seed.size());
  std::span<std::byte> scalar = std::span{secret}.first(32);
  scalar[0] &= std::byte{0xf8};
  scalar[31] = (scalar[31] & std::byte{0x7f}) | std::byte{0x40};

  std::vector<std::byte> hashed{nonce_point.begin(), nonce_point.end()};
  for (const std::string_view part : {vector.public_key, vector.message}) {
    const std::vector<std::byte> bytes = from_hex(part);
    hashed.insert(hashed.end(), bytes.begin(), bytes.end());
  }
  std::array<std::byte, 64> hash{};
  ::crypto_hash_sha512(octets(hash.data()), octets(hashed.data()), hashed.size());
  std::array<std::byte, 32> reduced{};
  ::crypto_core_ed25519_scalar_reduce(octets(reduced.data()), octets(hash.data()));

  Signature signature;
  std::ranges::copy(nonce_point, signature.bytes.begin());
  ::crypto_core_ed25519_scalar_mul(octets(signature.bytes.data() + 32), octets(reduced.data()),
                                   octets(scalar.data()));
  return signature;
}

TEST_F(SignatureOfAMessage, IsRefusedWithANoncePointOfSmallOrder) {
  // The neutral element: S * B = R + H * A holds, so a verifier must look at R itself.
  std::vector<std::byte> neutral(32, std::byte{0});
  neutral[0] = std::byte{1};
  EXPECT_THAT(verify(message_, signature_with(neutral, vector_), key_),
              FailsWith(ErrorCode::kRefused, "not good"));
}

}  // namespace
}  // namespace kvferry::trust
