// SPDX-License-Identifier: Apache-2.0
// Goal: a secret key signs as RFC 8032 says, stays secret, and is never lost by being overwritten.
// Method: the RFC's keys through files; files that others could have read or written; all memory of
// the process searched for a key that is gone; threads that save to one path at once.
#include "kvferry/trust/signing_key.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <latch>
#include <optional>
#include <ostream>
#include <thread>
#include <type_traits>
#include <vector>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "samples.hpp"

namespace kvferry::trust {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  { out << value } -> std::same_as<std::ostream&>;
};
static_assert(!std::is_copy_constructible_v<SigningKey> && !std::is_copy_assignable_v<SigningKey>);
static_assert(std::is_nothrow_move_constructible_v<SigningKey>);
static_assert(Printable<std::string> && !Printable<SigningKey>);

/// A new secret key's file, with what a test puts into it.
class SigningKeyFile : public ::testing::Test {
 protected:
  void write(std::string_view text, mode_t mode = 0600) { write_text(file_, text, mode); }
  [[nodiscard]] std::size_t files() const {
    const std::filesystem::directory_iterator all{base_.path()};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  TemporaryDirectory base_;
  std::string file_ = base_.path() + "/own.key";
};

TEST_F(SigningKeyFile, SignsAsTheRfcDoes) {
  for (const Vector& vector : kVectors) {
    write(secret_file(vector));
    const Result<SigningKey> key = SigningKey::load(file_);
    ASSERT_THAT(key, IsOk());
    EXPECT_EQ(key->public_key().to_string(), vector.public_key);
    EXPECT_EQ(key->sign(from_hex(vector.message)), signature_from(vector.signature));
  }
}

TEST_F(SigningKeyFile, IsMadeForTheOwnerOnlyAndReadBack) {
  const Result<SigningKey> key = SigningKey::generate();
  ASSERT_THAT(key, IsOk());
  const mode_t old = ::umask(0);
  EXPECT_THAT(key->save(file_), IsOk());
  ::umask(old);
  EXPECT_EQ(mode_of(file_), 0600U);
  EXPECT_EQ(files(), 1U);
  const Result<SigningKey> loaded = SigningKey::load(file_);
  ASSERT_THAT(loaded, IsOk());
  EXPECT_EQ(loaded->public_key(), key->public_key());
  const std::array message{std::byte{1}, std::byte{2}};
  EXPECT_THAT(verify(message, loaded->sign(message), key->public_key()), IsOk());
}

TEST_F(SigningKeyFile, IsRefusedWhenOthersMayUseIt) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0644U, 0666U}) {
    write(secret_file(kVectors[0]), mode);
    EXPECT_THAT(SigningKey::load(file_),
                FailsWith(ErrorCode::kRefused, file_ + ": group or others may use it"))
        << mode;
  }
  for (const mode_t mode : {0400U, 0600U, 0700U}) {
    write(secret_file(kVectors[0]), mode);
    EXPECT_THAT(SigningKey::load(file_), IsOk()) << mode;
    ASSERT_EQ(::chmod(file_.c_str(), 0600), 0);
  }
}

TEST_F(SigningKeyFile, IsRefusedWhenItIsAnotherUsers) {
  std::string path = "/etc/passwd";  // root's
  if (::geteuid() == 0) {
    path = file_;
    write(secret_file(kVectors[0]));
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  }
  EXPECT_THAT(SigningKey::load(path), FailsWith(ErrorCode::kRefused, path + ": belongs to user"));
}

TEST_F(SigningKeyFile, IsRefusedWhenItIsNoFile) {
  const std::string other = base_.path() + "/other.key";
  write_text(other, secret_file(kVectors[0]), 0600);
  ASSERT_EQ(::symlink(other.c_str(), file_.c_str()), 0);
  EXPECT_THAT(SigningKey::load(file_), FailsWith(ErrorCode::kRefused, "is a symbolic link"));
  EXPECT_THAT(SigningKey::load(base_.path()), FailsWith(ErrorCode::kRefused, "no regular file"));
  const std::string pipe = base_.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(SigningKey::load(pipe), FailsWith(ErrorCode::kRefused, "no regular file"));
  EXPECT_THAT(SigningKey::load(other + "/x"), FailsWith(ErrorCode::kRefused, "Not a directory"));
  EXPECT_THAT(SigningKey::load(""), FailsWith(ErrorCode::kUnavailable, "No such file"));
}

TEST_F(SigningKeyFile, IsRefusedWhenItIsDamaged) {
  const std::string whole = secret_file(kVectors[0]);
  for (const std::size_t size : {0U, 1U, 28U, 29U, 94U, 158U}) {
    write(whole.substr(0, size));
    EXPECT_THAT(SigningKey::load(file_), FailsWith(ErrorCode::kCorrupt, file_ + ": ")) << size;
  }
  write(whole + std::string(std::size_t{1} << 20U, '\n'));
  EXPECT_THAT(SigningKey::load(file_),
              FailsWith(ErrorCode::kCorrupt, file_ + ": more than 159 bytes"));
  write(whole + "\n");
  EXPECT_THAT(SigningKey::load(file_), FailsWith(ErrorCode::kCorrupt, "more than 159 bytes"));
  write(public_file(kVectors[0]));
  EXPECT_THAT(SigningKey::load(file_),
              FailsWith(ErrorCode::kCorrupt, "line 1: is not 'kvferry-secret-key"));
}

TEST_F(SigningKeyFile, OneOfManyWritersWins) {
  constexpr int kWriters = 8;
  for (int round = 0; round < 20; ++round) {
    const std::string path = file_ + std::to_string(round);
    std::array<std::optional<SigningKey>, kWriters> keys;
    std::array<std::optional<Error>, kWriters> errors;
    std::latch start{kWriters};
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < kWriters; ++i) {
      keys[i].emplace(*SigningKey::generate());
      writers.emplace_back([&, i] {
        start.arrive_and_wait();
        if (Result<void> saved = keys[i]->save(path); !saved) {
          errors[i] = std::move(saved).error();
        }
      });
    }
    for (std::thread& writer : writers) {
      writer.join();
    }
    EXPECT_EQ(std::count(errors.begin(), errors.end(), std::nullopt), 1);
    const auto winner = static_cast<std::size_t>(
        std::find(errors.begin(), errors.end(), std::nullopt) - errors.begin());
    const Result<SigningKey> loaded = SigningKey::load(path);
    ASSERT_THAT(loaded, IsOk());
    EXPECT_EQ(loaded->public_key(), keys[winner]->public_key());
    for (const std::optional<Error>& error : errors) {
      EXPECT_TRUE(!error || error->code == ErrorCode::kRefused) << error->message;
    }
    EXPECT_EQ(files(), static_cast<std::size_t>(round) + 1) << "temporary files";
  }
}

/// What is looked for, hidden so that the searcher's own memory does not hold it.
class Needle {
 public:
  explicit Needle(std::span<const std::byte> hidden) : hidden_{hidden.begin(), hidden.end()} {}

  [[nodiscard]] bool is_in(std::span<const std::byte> bytes) const {
    const int first = std::to_integer<int>(hide(hidden_.front()));
    while (bytes.size() >= hidden_.size()) {
      const void* const found = std::memchr(bytes.data(), first, bytes.size() - hidden_.size() + 1);
      if (found == nullptr) {
        return false;
      }
      bytes = bytes.last(static_cast<std::size_t>(bytes.data() + bytes.size() -
                                                  static_cast<const std::byte*>(found)));
      if (std::equal(hidden_.begin(), hidden_.end(), bytes.begin(),
                     [](std::byte hidden, std::byte byte) { return hide(hidden) == byte; })) {
        return true;
      }
      bytes = bytes.subspan(1);
    }
    return false;
  }

  static std::byte hide(std::byte byte) { return byte ^ std::byte{0x5a}; }

 private:
  std::vector<std::byte> hidden_;
};

/// Of a secret key's file the digits and the bytes of the seed, hidden. A child reads them, so that
/// what is found in this process is what the code under test has left.
std::vector<std::byte> hidden_secret_of(const std::string& path) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string digits = read_text(path).substr(29, 64);
    std::vector<std::byte> secret(64);
    std::ranges::copy(std::as_bytes(std::span{digits}), secret.begin());
    const std::vector<std::byte> seed = from_hex(digits);
    secret.insert(secret.end(), seed.begin(), seed.end());
    std::ranges::transform(secret, secret.begin(), Needle::hide);
    ::_exit(::write(ends[1], secret.data(), secret.size()) == 96 ? 0 : 1);
  }
  ::close(ends[1]);
  std::vector<std::byte> hidden(96);
  const ssize_t got = ::read(ends[0], hidden.data(), hidden.size());
  ::close(ends[0]);
  int status{0};
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  hidden.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return hidden;
}

/// How many of this process's mappings hold `needle`. Shadow memory of sanitizers is passed over.
int mappings_that_hold(const Needle& needle) {
  constexpr std::size_t kSizeMax = std::size_t{64} << 20U;
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  std::ifstream maps{"/proc/self/maps"};
  std::vector<std::array<std::size_t, 2>> ranges;
  for (std::string line; std::getline(maps, line);) {
    std::array<std::size_t, 2> range{};
    std::array<char, 5> rights{};
    if (std::sscanf(line.c_str(), "%zx-%zx %4s", &range[0], &range[1], rights.data()) == 3 &&
        rights[0] == 'r' && rights[1] == 'w' && range[1] - range[0] <= kSizeMax) {
      ranges.push_back(range);
    }
  }
  int count{0};
  std::vector<std::byte> bytes;
  for (const auto& [begin, end] : ranges) {
    bytes.resize(end - begin);
    const ssize_t got = ::pread(memory, bytes.data(), bytes.size(), static_cast<off_t>(begin));
    if (got > 0 && needle.is_in(std::span{bytes}.first(static_cast<std::size_t>(got)))) {
      ++count;
    }
    // Or the next search would find what this one has read.
    std::ranges::fill(bytes, std::byte{0});
  }
  ::close(memory);
  return count;
}

TEST_F(SigningKeyFile, LeavesNothingOfTheSecretInMemory) {
  // Drawn, so that no text of this program is the seed; saved, so that its digits are formed too.
  std::optional<Needle> seed;
  std::optional<Needle> digits;
  {
    Result<SigningKey> key = SigningKey::generate();
    ASSERT_THAT(key, IsOk());
    ASSERT_THAT(key->save(file_), IsOk());
    SigningKey moved = *std::move(key);
    key = SigningKey::load(file_);
    ASSERT_THAT(key, IsOk());
    const std::vector<std::byte> hidden = hidden_secret_of(file_);
    ASSERT_EQ(hidden.size(), 96U);
    digits.emplace(std::span{hidden}.first(64));
    seed.emplace(std::span{hidden}.subspan(64));
    // The search does find a key that is there.
    EXPECT_GE(mappings_that_hold(*seed), 1);
  }
  EXPECT_EQ(mappings_that_hold(*seed), 0);
  EXPECT_EQ(mappings_that_hold(*digits), 0);
}

TEST(SigningKeyDeathTest, IsOfNoUseOnceMovedFrom) {
  Result<SigningKey> key = SigningKey::generate();
  ASSERT_THAT(key, IsOk());
  const SigningKey moved = *std::move(key);
  const auto asserted = ::testing::KilledBySignal(SIGABRT);  // and not SIGSEGV
  EXPECT_EXIT((void)key->sign({}), asserted, "");
  EXPECT_EXIT((void)key->public_key(), asserted, "");
  EXPECT_EXIT((void)key->save("never"), asserted, "");
}

}  // namespace
}  // namespace kvferry::trust
