// SPDX-License-Identifier: Apache-2.0
// Goal: whatever happens to an entry, its owner or the directory is told, in time and without a
// gap, and a wait ends when it should.
// Method: a real directory; workers that are processes of their own and are killed; more events
// than the kernel keeps; limits of the process used up; signals during a wait.
#include "exchange/directory_watch.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "exchange/record.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::exchange {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;
using kvferry::testing::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kNow = TimePoint::min();  // Whatever is there, without waiting for more.

/// Long enough for a slow machine; only what is never told takes it.
TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{20}; }

Publication publication(const std::string& name, std::uint64_t generation = 1) {
  return {{name, WorkerId{7}, Epoch{0, static_cast<std::uint64_t>(::getpid())}, generation},
          {{"a", std::vector<std::byte>(100, static_cast<std::byte>(generation))}}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

/// A process of its own, which lives until it is killed. Made when it has done its work.
class Process {
 public:
  explicit Process(const std::function<bool()>& work) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    id_ = ::fork();
    if (id_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const char done = work() ? 'y' : 'n';
      while (::write(ends[1], &done, 1) == 1) {
        ::pause();
      }
    }
    char done{};
    EXPECT_EQ(::read(ends[0], &done, 1), 1);
    EXPECT_EQ(done, 'y');
    ::close(ends[0]);
    ::close(ends[1]);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    kill();
    EXPECT_EQ(::waitpid(id_, nullptr, 0), id_);
  }

  /// Returns when it has ended; nobody has waited for it then.
  void kill() const {
    ::kill(id_, SIGKILL);
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOWAIT), 0);
  }

 private:
  pid_t id_{-1};
};

class DirectoryWatchTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<DirectoryExchange> open() const {
    auto opened = DirectoryExchange::create(path_);
    EXPECT_THAT(opened, IsOk());
    return *std::move(opened);
  }

  [[nodiscard]] std::unique_ptr<Watch> watch() const {
    auto made = exchange_->watch();
    EXPECT_THAT(made, IsOk());
    return *std::move(made);
  }

  [[nodiscard]] std::function<bool()> publishes(const std::string& name) const {
    return [this, name] { return exchange_->publish(publication(name), soon()).has_value(); };
  }

  /// More events than the kernel keeps for a watch.
  void make_too_many_events() const {
    unsigned long most{0};
    std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> most;
    ASSERT_GT(most, 0U);
    for (unsigned long i = 0; i < most; ++i) {  // Each is written, closed and removed.
      const std::string file = path_ + "/" + std::to_string(i % 2) + ".json";
      ::close(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      ASSERT_EQ(::unlink(file.c_str()), 0);
    }
  }

  TemporaryDirectory base_;
  std::string path_{base_.path() + "/exchange"};
  std::unique_ptr<DirectoryExchange> exchange_{open()};
};

std::vector<std::string> names(Result<Changes> changes) {
  EXPECT_THAT(changes, IsOk());
  EXPECT_FALSE(changes && changes->all);
  return changes ? changes->names : std::vector<std::string>{"error"};
}

bool is_ready(const Watch& watch) {
  pollfd entry{watch.event_fd(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST_F(DirectoryWatchTest, TellsWhatAppearedChangedAndWent) {
  ASSERT_THAT(exchange_->publish(publication("before"), soon()), IsOk());
  const auto watch = this->watch();
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty());
  ASSERT_THAT(exchange_->publish(publication("b"), soon()), IsOk());
  ASSERT_THAT(exchange_->publish(publication("a"), soon()), IsOk());
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("a", "b"));
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty()) << "told once";
  ASSERT_THAT(exchange_->publish(publication("before", 2), soon()), IsOk());
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("before"));
  ASSERT_THAT(exchange_->withdraw("a", publication("a").record.epoch, soon()), IsOk());
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("a"));
  ASSERT_EQ(::rename((path_ + "/b.json").c_str(), (base_.path() + "/b.json").c_str()), 0);
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("b"));
}

TEST_F(DirectoryWatchTest, TellsEntriesThatAreDamagedAndNothingThatIsNoEntry) {
  const auto watch = this->watch();
  write_text(path_ + "/junk.json", "{");
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("junk"));
  write_text(path_ + "/.tmp-x.json", "half");
  write_text(path_ + "/x.a", "a message without a record");
  write_text(path_ + "/.json", "no name");
  write_text(path_ + "/README", "hello");
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty());
}

TEST_F(DirectoryWatchTest, LosesNoneOfAThousandPublications) {
  constexpr std::uint64_t kLast = 1000;
  const auto watch = this->watch();
  std::atomic<int> failures{0};
  std::thread worker{[&] {
    for (std::uint64_t generation = 1; generation <= kLast; ++generation) {
      failures += exchange_->publish(publication("w", generation), soon()) ? 0 : 1;
    }
  }};
  std::uint64_t seen{0};
  int waits{0};
  while (seen < kLast) {
    const std::vector<std::string> told = names(watch->wait(soon()));
    if (told != std::vector<std::string>{"w"}) {
      ADD_FAILURE() << "nothing told after generation " << seen;
      break;
    }
    const Result<FetchedWorker> fetched = exchange_->fetch("w", soon());
    EXPECT_THAT(fetched, IsOk());
    const std::uint64_t generation = fetched ? fetched->found.record.generation : 0;
    EXPECT_GE(generation, seen);
    seen = generation;
    ++waits;
  }
  worker.join();
  EXPECT_EQ(failures.load(), 0);
  std::printf("%d waits for %d publications\n", waits, static_cast<int>(kLast));
}

TEST_F(DirectoryWatchTest, TellsThatAWorkerWasKilled) {
  const Process early{publishes("early")};
  const auto watch = this->watch();
  const Process late{publishes("late")};
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("late"));
  for (const auto* process : {&early, &late}) {
    EXPECT_FALSE(is_ready(*watch));
    process->kill();
    const std::string name = process == &early ? "early" : "late";
    EXPECT_THAT(names(watch->wait(soon())), ElementsAre(name));
    const Result<FetchedWorker> found = exchange_->fetch(name, soon());
    ASSERT_THAT(found, IsOk());
    EXPECT_FALSE(found->found.alive);
    EXPECT_THAT(names(watch->wait(kNow)), IsEmpty()) << "told once";
  }
}

TEST_F(DirectoryWatchTest, FollowsANameToItsNextOwner) {
  const auto watch = this->watch();
  for (int life = 0; life < 3; ++life) {
    const Process worker{publishes("w")};
    EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w")) << "published";
    worker.kill();
    EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w")) << "killed";
  }
  ASSERT_THAT(exchange_->publish(publication("w"), soon()), IsOk());
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w"));
}

TEST_F(DirectoryWatchTest, SaysNothingOfTheEndOfWhoHasNoEntryAnyMore) {
  const auto watch = this->watch();
  const Process gone{publishes("gone")};
  const Process replaced{publishes("w")};
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("gone", "w"));
  for (const char* record : {"/gone.json", "/w.json"}) {
    ASSERT_EQ(::unlink((path_ + record).c_str()), 0);
  }
  const Process next{publishes("w")};
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("gone", "w"));
  gone.kill();
  replaced.kill();
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty());
  next.kill();
  EXPECT_THAT(names(watch->wait(kNow)), ElementsAre("w"));
}

TEST_F(DirectoryWatchTest, EndsWithTheDirectory) {
  const auto watch = this->watch();
  ASSERT_EQ(::rmdir(path_.c_str()), 0);
  EXPECT_TRUE(is_ready(*watch));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(watch->wait(soon()),
                FailsWith(ErrorCode::kUnavailable, path_ + ": the directory was removed"));
  }
  EXPECT_THAT(exchange_->watch(), FailsWith(ErrorCode::kUnavailable, path_ + ": was removed"));
}

TEST_F(DirectoryWatchTest, EndsWhenAnotherDirectoryTakesThePlace) {
  const auto watch = this->watch();
  ASSERT_EQ(::rename(path_.c_str(), (base_.path() + "/old").c_str()), 0);
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_THAT(watch->wait(soon()), FailsWith(ErrorCode::kUnavailable, "removed or moved"));
  exchange_ = open();
  EXPECT_THAT(names(this->watch()->wait(kNow)), IsEmpty());
}

TEST_F(DirectoryWatchTest, TakesNoNoticeOfItsNeighbours) {
  const auto watch = this->watch();
  ASSERT_EQ(::mkdir((base_.path() + "/other").c_str(), 0700), 0);
  ASSERT_EQ(::rmdir((base_.path() + "/other").c_str()), 0);
  write_text(base_.path() + "/w.json", "");
  ASSERT_EQ(::unlink((base_.path() + "/w.json").c_str()), 0);
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty());
}

TEST_F(DirectoryWatchTest, SaysThatAllMayHaveChangedWhenEventsWereDropped) {
  const auto watch = this->watch();
  make_too_many_events();
  const Process late{publishes("late")};  // Its event is dropped.
  for (bool all = false; !all;) {         // What the kernel kept comes first.
    const Result<Changes> changes = watch->wait(soon());
    ASSERT_THAT(changes, IsOk());
    ASSERT_FALSE(changes->empty()) << "the overflow was not told";
    all = changes->all;
  }
  EXPECT_THAT(names(watch->wait(kNow)), IsEmpty());
  late.kill();
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("late")) << "its owner is known";
}

TEST_F(DirectoryWatchTest, SeesThatTheDirectoryMovedThoughThatEventWasDropped) {
  const auto watch = this->watch();
  make_too_many_events();
  ASSERT_EQ(::rename(path_.c_str(), (base_.path() + "/old").c_str()), 0);
  EXPECT_THAT(watch->wait(soon()), FailsWith(ErrorCode::kUnavailable, "removed or moved"));
}

TEST_F(DirectoryWatchTest, WaitsUntilTheDeadlineWhateverSignalsCome) {
  const auto watch = this->watch();
  static std::atomic<int> signals{0};
  struct sigaction action {};
  action.sa_handler = [](int) { signals += 1; };  // Without SA_RESTART.
  struct sigaction old {};
  ASSERT_EQ(::sigaction(SIGALRM, &action, &old), 0);
  const itimerval each_millisecond{{0, 1000}, {0, 1000}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &each_millisecond, nullptr), 0);
  const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{100};
  const Result<Changes> changes = watch->wait(deadline);
  const TimePoint end = std::chrono::steady_clock::now();
  const itimerval never{};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &never, nullptr), 0);
  ASSERT_EQ(::sigaction(SIGALRM, &old, nullptr), 0);
  EXPECT_THAT(names(changes), IsEmpty());
  EXPECT_GE(end, deadline);
  EXPECT_GT(signals.load(), 0);
}

TEST_F(DirectoryWatchTest, IsReadyForAnEventLoopOnlyWithSomethingToTell) {
  const auto watch = this->watch();
  EXPECT_FALSE(is_ready(*watch));
  ASSERT_THAT(exchange_->publish(publication("w"), soon()), IsOk());
  EXPECT_TRUE(is_ready(*watch));
  EXPECT_THAT(names(watch->wait(kNow)), ElementsAre("w"));
  EXPECT_FALSE(is_ready(*watch));
}

TEST_F(DirectoryWatchTest, WakesAThreadThatWaits) {
  const auto watch = this->watch();
  std::vector<std::string> told;
  std::thread waiter{[&] { told = names(watch->wait(TimePoint::max())); }};
  EXPECT_THAT(exchange_->publish(publication("w"), soon()), IsOk());
  waiter.join();
  EXPECT_THAT(told, ElementsAre("w"));
}

TEST_F(DirectoryWatchTest, OutlivesItsExchange) {
  const auto watch = this->watch();
  exchange_.reset();
  ASSERT_THAT(open()->publish(publication("w"), soon()), IsOk());
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w"));
}

TEST_F(DirectoryWatchTest, LosesNothingWhileDescriptorsAreUsedUp) {
  // Nothing new may be looked at later: a sanitizer opens a pipe when it first sees a type.
  const auto another = this->watch();
  EXPECT_THAT(names(another->wait(kNow)), IsEmpty());
  EXPECT_THAT(DirectoryExchange::create(path_ + "/no/such"),
              FailsWith(ErrorCode::kUnavailable, "No such file"));
  const auto watch = this->watch();
  const Process worker{publishes("w")};
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const int next = ::dup(0);
  ASSERT_EQ(::close(next), 0);
  for (const int left : {0, 1}) {  // Too few to read the record, then to hold its owner as well.
    const rlimit few{static_cast<rlim_t>(next + left), old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const Result<Changes> changes = watch->wait(soon());
    const auto second = exchange_->watch();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_THAT(changes, FailsWith(ErrorCode::kBusy, "Too many open files")) << left;
    EXPECT_THAT(second, FailsWith(ErrorCode::kBusy, path_ + ": watch: Too many open")) << left;
  }
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w"));
  worker.kill();
  EXPECT_THAT(names(watch->wait(soon())), ElementsAre("w"));
}

TEST_F(DirectoryWatchTest, IsRefusedForMoreFilesThanAListingHas) {
  write_text(path_ + "/1", "");
  write_text(path_ + "/2", "");
  const auto limited = DirectoryExchange::create(path_, {.files = 1});
  ASSERT_THAT(limited, IsOk());
  EXPECT_THAT((*limited)->watch(),
              FailsWith(ErrorCode::kRefused, path_ + ": holds more than 1 files"));
}

}  // namespace
}  // namespace kvferry::exchange
