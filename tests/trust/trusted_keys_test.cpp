// SPDX-License-Identifier: Apache-2.0
// Goal: exactly the keys of a directory that nobody else writes are trusted, each under its name,
// and a refused message says whether its key or its signature is at fault.
// Method: directories with RFC 8032's keys, and one thing wrong at a time.
#include "kvferry/trust/trusted_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "kvferry/trust/signing_key.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;

class TrustedKeysDirectory : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view text, mode_t mode = 0644) {
    write_text(path(name), text, mode);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return base_.path() + "/" + name;
  }
  [[nodiscard]] Result<TrustedKeys> load() const { return TrustedKeys::load(base_.path()); }
  [[nodiscard]] static Result<std::string> verify(const TrustedKeys& keys, const Vector& vector) {
    return keys.verify(from_hex(vector.message), signature_from(vector.signature),
                       *PublicKey::parse(vector.public_key));
  }

  TemporaryDirectory base_;
};

TEST_F(TrustedKeysDirectory, NamesTheSigner) {
  write("prefill.pub", public_file(kVectors[0]));
  write("decode 2.key.pub", public_file(kVectors[1]));
  write(std::string(128, 'n') + ".pub", public_file(kVectors[2]), 0600);
  const Result<TrustedKeys> keys = load();
  ASSERT_THAT(keys, IsOk());
  EXPECT_EQ(keys->size(), 3U);
  const std::array<std::string, 3> names{"prefill", "decode 2.key", std::string(128, 'n')};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Result<std::string> signer = verify(*keys, kVectors[i]);
    ASSERT_THAT(signer, IsOk());
    EXPECT_EQ(*signer, names[i]);
  }
}

TEST_F(TrustedKeysDirectory, TellsAnUnknownKeyFromAWrongSignature) {
  write("prefill.pub", public_file(kVectors[0]));
  const Result<TrustedKeys> keys = load();
  ASSERT_THAT(keys, IsOk());
  EXPECT_THAT(verify(*keys, kVectors[1]),
              FailsWith(ErrorCode::kRefused, "key " + std::string{kVectors[1].public_key} +
                                                 " is not trusted: it is none of 1"));
  EXPECT_THAT(keys->verify(from_hex("00"), signature_from(kVectors[0].signature),
                           *PublicKey::parse(kVectors[0].public_key)),
              FailsWith(ErrorCode::kRefused, "prefill: signature is not good for these 1 bytes"));
}

TEST_F(TrustedKeysDirectory, TrustsNobodyWhenItIsEmpty) {
  const Result<TrustedKeys> keys = load();
  ASSERT_THAT(keys, IsOk());
  EXPECT_EQ(keys->size(), 0U);
  EXPECT_THAT(verify(*keys, kVectors[0]), FailsWith(ErrorCode::kRefused, "it is none of 0"));
}

TEST_F(TrustedKeysDirectory, PassesOverWhatAShellWouldNotFind) {
  for (const std::string name : {".pub", ".hidden.pub", "a.PUB", "a.pub~", "pub", "own.key"}) {
    write(name, "no key", 0666);
  }
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0777), 0);
  write("folder/a.pub", public_file(kVectors[0]));
  const Result<TrustedKeys> keys = load();
  ASSERT_THAT(keys, IsOk());
  EXPECT_EQ(keys->size(), 0U);
}

TEST_F(TrustedKeysDirectory, IsRefusedForOneFileThatIsNoKey) {
  write("good.pub", public_file(kVectors[0]));
  const std::string whole = public_file(kVectors[1]);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write("bad.pub", whole.substr(0, size));
    EXPECT_THAT(load(), FailsWith(ErrorCode::kCorrupt, base_.path() + ": bad.pub: ")) << size;
  }
  write("bad.pub", whole + "\n");
  EXPECT_THAT(load(), FailsWith(ErrorCode::kCorrupt, "bad.pub: more than 94 bytes"));
  write("bad.pub", secret_file(kVectors[1]), 0600);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kCorrupt, "bad.pub: line 1"));
  write("bad.pub", whole);
  EXPECT_THAT(load(), IsOk());
}

TEST_F(TrustedKeysDirectory, IsRefusedForOneFileThatIsNotSafe) {
  write("bad.pub", public_file(kVectors[0]), 0664);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "bad.pub: group or others may write it"));
  std::filesystem::remove(path("bad.pub"));

  write("good", public_file(kVectors[0]));
  ASSERT_EQ(::symlink("good", path("bad.pub").c_str()), 0);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "bad.pub: is a symbolic link"));
  std::filesystem::remove(path("bad.pub"));

  ASSERT_EQ(::mkfifo(path("bad.pub").c_str(), 0600), 0);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "bad.pub: is no regular file"));
  std::filesystem::remove(path("bad.pub"));

  ASSERT_EQ(::mkdir(path("bad.pub").c_str(), 0700), 0);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "bad.pub: is no regular file"));
}

TEST_F(TrustedKeysDirectory, IsRefusedForAFileOfAnotherUser) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can be two users";
  }
  write("bad.pub", public_file(kVectors[0]));
  ASSERT_EQ(::chown(path("bad.pub").c_str(), 65534, 65534), 0);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "bad.pub: belongs to user 65534"));
}

TEST_F(TrustedKeysDirectory, IsRefusedWhenOthersMayWriteIt) {
  ASSERT_EQ(::chmod(base_.path().c_str(), 0770), 0);
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "group or others may write it"));
  EXPECT_THAT(TrustedKeys::load(path("none")), FailsWith(ErrorCode::kUnavailable, "none: No such"));
}

TEST_F(TrustedKeysDirectory, IsRefusedWithOneKeyTwice) {
  write("b.pub", public_file(kVectors[0]));
  write("a.pub", public_file(kVectors[0]));
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "b.pub: holds the key of a.pub"));
}

TEST_F(TrustedKeysDirectory, IsRefusedForANameThatIsNotPrintable) {
  write("a\x1b[1m.pub", public_file(kVectors[0]));
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, base_.path() + ": a?[1m.pub: the name"));
  std::filesystem::remove(path("a\x1b[1m.pub"));
  write("\xc3\xa4.pub", public_file(kVectors[0]));
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "??.pub: the name"));
  std::filesystem::remove(path("\xc3\xa4.pub"));
  write(std::string(129, 'n') + ".pub", public_file(kVectors[0]));
  EXPECT_THAT(load(), FailsWith(ErrorCode::kRefused, "at most 128 printable"));
}

TEST_F(TrustedKeysDirectory, IsRefusedWithTooManyFiles) {
  write("a.pub", public_file(kVectors[0]));
  write("notes", "");
  EXPECT_THAT(TrustedKeys::load(base_.path(), {.files = 2}), IsOk());
  EXPECT_THAT(TrustedKeys::load(base_.path(), {.files = 1}),
              FailsWith(ErrorCode::kRefused, base_.path() + ": holds more than 1 files"));
}

TEST_F(TrustedKeysDirectory, TakesWhatAKeySaves) {
  const Result<SigningKey> key = SigningKey::generate();
  ASSERT_THAT(key, IsOk());
  ASSERT_THAT(key->save(path("own.key")), IsOk());
  ASSERT_THAT(key->public_key().save(path("own.key.pub")), IsOk());
  const Result<TrustedKeys> keys = load();
  ASSERT_THAT(keys, IsOk());
  const std::vector<std::byte> message = from_hex("0102");
  const Result<std::string> signer = keys->verify(message, key->sign(message), key->public_key());
  ASSERT_THAT(signer, IsOk());
  EXPECT_EQ(*signer, "own.key");
}

}  // namespace
}  // namespace kvferry::trust
