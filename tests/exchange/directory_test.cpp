// SPDX-License-Identifier: Apache-2.0
// Goal: peers see whole publications of one worker a name, whatever else happens in the directory.
// Method: one directory with entries of this process, of dead ones (written with the private
// encoder) and of strangers; a writer against readers; processes that race for a name.
#include "kvferry/exchange/directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "exchange/files.hpp"
#include "exchange/process.hpp"
#include "exchange/record.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::exchange {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{20}; }

std::vector<std::byte> bytes(std::size_t count, unsigned value) {
  return std::vector<std::byte>(count, static_cast<std::byte>(value));
}

Publication publication(const std::string& name, std::uint64_t epoch,
                        std::uint64_t generation = 1) {
  return Publication{{name, WorkerId{7}, Epoch{0, epoch}, generation},
                     {{"a", bytes(100, static_cast<unsigned>(generation))}}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

class DirectoryExchangeTest : public ::testing::Test {
 protected:
  std::unique_ptr<DirectoryExchange> open(DirectoryLimits limits = {}) {
    auto opened = DirectoryExchange::create(directory_.path(), limits);
    EXPECT_TRUE(opened) << opened.error().message;
    return *std::move(opened);
  }

  /// What a worker of an earlier boot left behind: format "a", and "old".
  void leave_dead_entry(const std::string& name) {
    StoredRecord record;
    record.worker = {name, WorkerId{1}, Epoch{9, 9}, 5};
    record.owner = {"another boot", 1, 1};
    for (const char* format : {"a", "old"}) {
      record.formats.emplace(format, digest_of(bytes(4, 'd')));
      write_text(file(name + "." + format), "dddd");
    }
    write_text(file(name + ".json"), encode_record(record));
  }

  [[nodiscard]] bool is_there(const std::string& name) const {
    return ::access(file(name).c_str(), F_OK) == 0;
  }

  [[nodiscard]] std::string file(const std::string& name) const {
    return directory_.path() + "/" + name;
  }

  TemporaryDirectory directory_;
};

TEST_F(DirectoryExchangeTest, FetchesWhatWasPublished) {
  const auto exchange = open();
  const Publication mine = publication("prefill", 1);
  ASSERT_TRUE(exchange->publish(mine, soon()));
  const Result<FetchedWorker> fetched = open()->fetch("prefill", soon());
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(fetched->found.record, mine.record);
  EXPECT_TRUE(fetched->found.alive);
  EXPECT_THAT(fetched->found.formats, ElementsAre("a"));
  EXPECT_EQ(fetched->formats, mine.formats);
  const auto age = std::chrono::system_clock::now() - fetched->found.published;
  EXPECT_LT(age, std::chrono::minutes{5});
  EXPECT_GT(age, -std::chrono::minutes{5});
}

TEST_F(DirectoryExchangeTest, IsFoundWithoutBeingMade) {
  const std::string path = file("exchange");
  const auto nobody = DirectoryExchange::find(path);
  ASSERT_THAT(nobody, IsOk());
  EXPECT_EQ(*nobody, nullptr);
  EXPECT_FALSE(is_there("exchange"));
  ASSERT_THAT((*DirectoryExchange::create(path))->publish(publication("w", 1), soon()), IsOk());
  const auto found = DirectoryExchange::find(path);
  ASSERT_THAT(found, IsOk());
  ASSERT_NE(*found, nullptr);
  EXPECT_EQ((*found)->list(soon())->workers.size(), 1U);
}

TEST_F(DirectoryExchangeTest, OfNobodyIsAnEmptyListAndNoWorkerIsUnavailable) {
  const auto exchange = open();
  const Result<Listing> listing = exchange->list(soon());
  ASSERT_TRUE(listing);
  EXPECT_THAT(listing->workers, IsEmpty());
  EXPECT_THAT(listing->skipped, IsEmpty());
  const Result<FetchedWorker> nobody = exchange->fetch("prefill", soon());
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nobody.error().message, HasSubstr("no worker 'prefill'"));
}

TEST_F(DirectoryExchangeTest, ListsByNameWithTheDeadAndReportsStrangers) {
  const auto exchange = open();
  for (const char* name : {"c", "a b", "b"}) {
    ASSERT_TRUE(exchange->publish(publication(name, 1), soon()));
  }
  leave_dead_entry("dead");
  write_text(file("README"), "hello");
  write_text(file("stray.a"), "no record");
  write_text(file("b.tar.gz"), "not a format");
  write_text(file("junk.json"), "{");
  write_text(file("moved.json"), encode_record({{"c", {}, {}, 1}, {}, {}}));
  ASSERT_EQ(::symlink("b.json", file("link.json").c_str()), 0);
  ASSERT_EQ(::mkfifo(file("pipe.json").c_str(), 0600), 0);
  write_text(file(".tmp-d.json"), "half");

  const Result<Listing> listing = exchange->list(soon());
  ASSERT_TRUE(listing);
  std::vector<std::string> names;
  for (const FoundWorker& worker : listing->workers) {
    names.push_back(worker.record.name + (worker.alive ? "" : " (dead)"));
  }
  EXPECT_THAT(names, ElementsAre("a b", "b", "c", "dead (dead)"));
  std::vector<std::string> skipped;
  for (const Skipped& entry : listing->skipped) {
    skipped.push_back(entry.what);
    EXPECT_FALSE(entry.why.empty());
  }
  EXPECT_THAT(skipped, ElementsAre("README", "b.tar.gz", "junk.json", "link.json", "moved.json",
                                   "pipe.json", "stray.a"));
}

TEST_F(DirectoryExchangeTest, UpdatesTheSameEpochAndRefusesALowerGenerationAsStale) {
  const auto exchange = open();
  ASSERT_TRUE(exchange->publish(publication("w", 1, 1), soon()));
  ASSERT_TRUE(exchange->publish(publication("w", 1, 3), soon()));
  const Result<void> lower = exchange->publish(publication("w", 1, 2), soon());
  ASSERT_FALSE(lower);
  EXPECT_EQ(lower.error().code, ErrorCode::kStale);
  EXPECT_EQ(exchange->fetch("w", soon())->formats.at("a"), bytes(100, 3));
}

TEST_F(DirectoryExchangeTest, RefusesASecondLiveWorkerOfOneName) {
  ASSERT_TRUE(open()->publish(publication("w", 1), soon()));
  const Result<void> second = open()->publish(publication("w", 2), soon());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
  EXPECT_EQ(second.error().message,
            "worker 'w' lives already: process " + std::to_string(::getpid()));
}

TEST_F(DirectoryExchangeTest, ReplacesADeadWorkersEntryWithAllItsFiles) {
  leave_dead_entry("w");
  const auto exchange = open();
  const Result<FetchedWorker> dead = exchange->fetch("w", soon());
  ASSERT_TRUE(dead) << dead.error().message;
  EXPECT_FALSE(dead->found.alive);
  ASSERT_TRUE(exchange->publish(publication("w", 1), soon()));
  EXPECT_TRUE(exchange->fetch("w", soon())->found.alive);
  EXPECT_FALSE(is_there("w.old"));
}

TEST_F(DirectoryExchangeTest, NeverReplacesAFileThatIsNoRecord) {
  write_text(file("w.json"), R"({"version": 2})");
  const Result<void> result = open()->publish(publication("w", 1), soon());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kRefused);
  EXPECT_THAT(result.error().message, HasSubstr("w.json: version: 2 is not 1"));
  EXPECT_FALSE(is_there("w.a"));
}

TEST_F(DirectoryExchangeTest, WithdrawsOnlyItsOwn) {
  const auto exchange = open();
  leave_dead_entry("dead");
  ASSERT_TRUE(exchange->publish(publication("w", 1), soon()));
  EXPECT_THAT(exchange->withdraw("w", Epoch{0, 2}, soon()), FailsWith(ErrorCode::kRefused, ""));
  EXPECT_THAT(exchange->withdraw("dead", Epoch{9, 9}, soon()), FailsWith(ErrorCode::kRefused, ""));
  EXPECT_TRUE(exchange->fetch("w", soon()));
  ASSERT_TRUE(exchange->withdraw("w", Epoch{0, 1}, soon()));
  EXPECT_FALSE(is_there("w.json"));
  EXPECT_FALSE(is_there("w.a"));
  EXPECT_TRUE(is_there("dead.json"));
  EXPECT_TRUE(exchange->withdraw("w", Epoch{0, 1}, soon())) << "gone already";
}

TEST_F(DirectoryExchangeTest, WithdrawsItsMessagesThoughTheRecordWasTakenAway) {
  const auto exchange = open();
  Publication mine = publication("w", 1);
  mine.formats.emplace("b", bytes(5, 1));
  ASSERT_THAT(exchange->publish(mine, soon()), IsOk());
  ASSERT_EQ(::unlink(file("w.json").c_str()), 0);
  write_text(file("w.b"), "another's");
  EXPECT_THAT(exchange->withdraw("w", Epoch{0, 2}, soon()), IsOk()) << "another epoch";
  EXPECT_THAT(open()->withdraw("w", Epoch{0, 1}, soon()), IsOk()) << "did not publish";
  EXPECT_TRUE(is_there("w.a"));
  EXPECT_THAT(exchange->withdraw("w", Epoch{0, 1}, soon()), IsOk());
  EXPECT_FALSE(is_there("w.a"));
  EXPECT_TRUE(is_there("w.b")) << "other bytes than were published";
}

TEST_F(DirectoryExchangeTest, RefusesNamesFormatsAndSizesThatCannotBe) {
  const auto exchange = open({.record_bytes = 65'536, .format_bytes = 100, .files = 100});
  EXPECT_THAT(exchange->publish(publication("../w", 1), soon()),
              FailsWith(ErrorCode::kInvalidArgument, ""));
  EXPECT_THAT(exchange->fetch("../w", soon()), FailsWith(ErrorCode::kInvalidArgument, ""));
  EXPECT_THAT(exchange->withdraw("", Epoch{}, soon()), FailsWith(ErrorCode::kInvalidArgument, ""));
  Publication wrong = publication("w", 1);
  wrong.formats.emplace("JSON", bytes(1, 1));
  EXPECT_THAT(exchange->publish(wrong, soon()), FailsWith(ErrorCode::kInvalidArgument, ""));
  Publication large = publication("w", 1);
  large.formats["a"] = bytes(101, 1);
  const Result<void> result = exchange->publish(large, soon());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "format a: 101 bytes of 100");
  EXPECT_TRUE(exchange->publish(publication("w", 1), soon()));
}

TEST_F(DirectoryExchangeTest, ReadsNothingBeyondItsLimits) {
  ASSERT_TRUE(open()->publish(publication("w", 1), soon()));
  EXPECT_THAT(open({.record_bytes = 65'536, .format_bytes = 99})->fetch("w", soon()),
              FailsWith(ErrorCode::kCorrupt, ""));
  EXPECT_THAT(open({.record_bytes = 50})->fetch("w", soon()), FailsWith(ErrorCode::kCorrupt, ""));
  const Result<Listing> few = open({.record_bytes = 50})->list(soon());
  ASSERT_TRUE(few);
  ASSERT_EQ(few->skipped.size(), 1U);
  EXPECT_THAT(few->skipped.front().why, HasSubstr("more than 50 bytes"));
  EXPECT_THAT(open({.files = 2})->list(soon()), IsOk());
  EXPECT_THAT(open({.files = 1})->list(soon()),
              FailsWith(ErrorCode::kRefused, directory_.path() + ": holds more than 1 files"));
}

TEST_F(DirectoryExchangeTest, CallsAnEntryWhoseFilesDisagreeCorrupt) {
  const auto exchange = open();
  ASSERT_TRUE(exchange->publish(publication("w", 1), soon()));
  write_text(file("w.a"), std::string(100, '\2'));
  const Result<FetchedWorker> other = exchange->fetch("w", soon());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(other.error().message, HasSubstr("w.a: 100 bytes that are not the 100"));
  ASSERT_EQ(::unlink(file("w.a").c_str()), 0);
  EXPECT_THAT(exchange->fetch("w", soon()), FailsWith(ErrorCode::kCorrupt, ""));
}

TEST_F(DirectoryExchangeTest, WaitsForAnotherWriterOnlyUntilTheDeadline) {
  const auto exchange = open();
  const UniqueFd handle = *open_private_directory(directory_.path());
  const auto lock = lock_directory(handle.get(), Lock::kExclusive, soon());
  ASSERT_TRUE(lock);
  const TimePoint over = TimePoint::min();
  EXPECT_THAT(exchange->publish(publication("w", 1), over), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_THAT(exchange->withdraw("w", Epoch{}, over), FailsWith(ErrorCode::kDeadline, ""));
  EXPECT_TRUE(exchange->list(over)) << "waits for nobody";
}

TEST_F(DirectoryExchangeTest, ReadersSeeOnePublicationAtATime) {
  constexpr std::uint64_t kGenerations = 400;
  std::atomic<bool> done{false};
  const auto exchange = open();
  ASSERT_TRUE(exchange->publish(publication("w", 1, 1), soon()));
  std::vector<std::thread> readers;
  std::atomic<int> wrong{0};
  std::atomic<int> reads{0};
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done.load()) {
        const Result<FetchedWorker> fetched = exchange->fetch("w", soon());
        const bool right =
            fetched && fetched->formats.at("a") ==
                           bytes(100, static_cast<unsigned>(fetched->found.record.generation));
        wrong += right ? 0 : 1;
        reads += 1;
      }
    });
  }
  for (std::uint64_t generation = 2; generation <= kGenerations; ++generation) {
    EXPECT_TRUE(exchange->publish(publication("w", 1, generation), soon()));
  }
  while (reads.load() < 10) {
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(wrong.load(), 0) << "of " << reads.load();
}

/// Pipes on which processes wait for each other: each ends a wait by closing its end.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  std::array<int, 2> ends{};
};

/// Publishes as process `number` once `start` is closed, says how it went, and lives until `stop`
/// is closed.
[[noreturn]] void race(DirectoryExchange& exchange, int number, const std::array<Pipe, 3>& pipes) {
  char byte{};
  ::close(pipes[0].ends[1]);
  ::close(pipes[1].ends[1]);
  if (::read(pipes[0].ends[0], &byte, 1) == 0) {
    const Result<void> result =
        exchange.publish(publication("w", static_cast<std::uint64_t>(number) + 1), soon());
    byte = result ? 'w' : (result.error().code == ErrorCode::kRefused ? 'r' : 'e');
  }
  const bool told = ::write(pipes[2].ends[1], &byte, 1) == 1;
  ::_exit(told && ::read(pipes[1].ends[0], &byte, 1) == 0 ? 0 : 1);
}

TEST_F(DirectoryExchangeTest, LetsExactlyOneOfSeveralProcessesHaveADeadWorkersName) {
  constexpr int kProcesses = 4;
  for (int round = 0; round < 25; ++round) {
    leave_dead_entry("w");
    const auto exchange = open();
    const std::array<Pipe, 3> pipes{};  // start, stop, results
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        race(*exchange, i, pipes);
      }
      children.push_back(child);
    }
    ::close(pipes[0].ends[1]);
    std::string results(kProcesses, '?');
    for (char& result : results) {
      ASSERT_EQ(::read(pipes[2].ends[0], &result, 1), 1);
    }
    std::sort(results.begin(), results.end());
    EXPECT_EQ(results, "rrrw") << "round " << round;
    const Result<FetchedWorker> winner = exchange->fetch("w", soon());
    ASSERT_TRUE(winner);
    EXPECT_TRUE(winner->found.alive);
    ::close(pipes[1].ends[1]);
    for (const pid_t child : children) {
      int status{0};
      EXPECT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    EXPECT_FALSE(exchange->fetch("w", soon())->found.alive);
    ::close(pipes[0].ends[0]);
    ::close(pipes[1].ends[0]);
    ::close(pipes[2].ends[0]);
    ::close(pipes[2].ends[1]);
  }
}

}  // namespace
}  // namespace kvferry::exchange
