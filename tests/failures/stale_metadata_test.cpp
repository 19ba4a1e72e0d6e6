// SPDX-License-Identifier: Apache-2.0
// Goal: a worker that restarts under its name never makes a puller take wrong bytes for good ones,
//       and the puller goes on as soon as it reads what the new life tells.
// Method: the real tool as the worker, in a process of its own, killed and started again with
// another
//         layout and other bytes while a puller of this process never stops. First the puller of
//         the public report, which keeps what it once learned of a name (vLLM #55471); then ours.
#include <gtest/gtest.h>
#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.hpp"
#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/exchange/directory.hpp"
#include "kvferry/manager/transport_manager.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/pattern.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "kvferry/wire/envelope.hpp"
#include "worker_process.hpp"

namespace kvferry {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using testing::IsOk;
using testing::WorkerProcess;

/// smollm2-135m, as the tool knows it.
layout::LayoutConfig config(std::uint64_t num_blocks) {
  return layout::LayoutConfig{.num_blocks = num_blocks,
                              .num_layers = 30,
                              .outer_dim = 2,
                              .page_size = 16,
                              .inner_dim = 192,
                              .inner_shape = layout::InnerShape::kNhd,
                              .num_heads = 3};
}
constexpr std::uint64_t kBlocks = 16;

class RestartedPeer : public ::testing::Test {
 protected:
  /// The next life: odd ones keep one region, even ones one for each layer.
  void start_life(std::uint64_t seed) {
    worker_ = std::make_unique<WorkerProcess>(
        directory_.path(),
        std::vector<std::string>{"--name", "prefill", "--geometry", "smollm2-135m", "--num-blocks",
                                 std::to_string(kBlocks), "--seed", std::to_string(seed),
                                 "--layout", seed % 2 == 1 ? "fc" : "ls", "--access", "read"});
  }
  void kill_worker() { worker_->end(SIGKILL); }

  std::vector<std::byte> fetch() {
    auto exchange = exchange::DirectoryExchange::create(directory_.path());
    EXPECT_THAT(exchange, IsOk());
    auto fetched = (*exchange)->fetch("prefill", std::chrono::steady_clock::now() + 10s);
    EXPECT_THAT(fetched, IsOk());
    return fetched->formats.at("kvfy");
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<WorkerProcess> worker_;
};

/// The puller of the report: what it learned of an engine's name at first contact holds for ever.
class NaivePuller {
 public:
  /// Reads a row of block 0, layer 1: the whole model's K of one token. Whether the system said
  /// yes.
  bool read(const std::string& name, const std::function<std::vector<std::byte>()>& handshake,
            pid_t process, std::span<std::byte> into) {
    if (known_.find(name) == known_.end()) {
      known_.emplace(name, *wire::decode_envelope(handshake()));
    }
    const wire::EnvelopeLayout& layout = known_.at(name).layouts.at(0);
    const auto view = *layout::view_of(layout.description, layout.regions);
    layout::Place place;
    place[layout::Axis::kLayer] = 1;
    const layout::Location at = view.locate(place);
    const iovec near{into.data(), into.size()};
    const iovec far{reinterpret_cast<void*>(layout.regions[at.region].address + at.offset_bytes),
                    into.size()};
    return process_vm_readv(process, &near, 1, &far, 1, 0) == static_cast<ssize_t>(into.size());
  }

 private:
  std::map<std::string, wire::Envelope> known_;
};

bool is_row_of(std::span<const std::byte> row, std::uint64_t seed) {
  const std::uint64_t key = testing::pattern_key(seed, 0, 1, 0, 0);
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] != testing::pattern_byte(key, i)) {
      return false;
    }
  }
  return true;
}

TEST_F(RestartedPeer, OfTheReportServesOtherBytesWithSuccess) {
  start_life(1);
  NaivePuller puller;
  std::vector<std::byte> row(384);
  const auto handshake = [this] { return fetch(); };
  ASSERT_TRUE(puller.read("prefill", handshake, worker_->process(), row));
  ASSERT_TRUE(is_row_of(row, 1));
  kill_worker();
  start_life(2);
  ASSERT_TRUE(puller.read("prefill", handshake, worker_->process(), row)) << "no error at all";
  EXPECT_FALSE(is_row_of(row, 2)) << "the naive puller was to be fooled";
  EXPECT_TRUE(NaivePuller{}.read("prefill", handshake, worker_->process(), row));
  EXPECT_TRUE(is_row_of(row, 2)) << "whoever asks anew is right";
}

/// Pulls without a pause, with whatever handle it has.
class RunningPuller {
 public:
  explicit RunningPuller(const std::string& directory) {
    auto agent = agent::ShmAgent::create({.name = "decode", .socket_directory = directory});
    EXPECT_THAT(agent, IsOk());
    manager_ = *manager::TransportManager::create({.worker_id = WorkerId{8}, .agent = *agent});
    layout_ =
        *transfer::PhysicalLayout::fully_contiguous(config(kBlocks)).allocate_system().build();
    mine_ = *manager_->register_layout(layout_, {.access = Access::kNone});
  }
  ~RunningPuller() { stop(); }
  RunningPuller(const RunningPuller&) = delete;
  RunningPuller& operator=(const RunningPuller&) = delete;

  void start() {
    thread_ = std::thread{[this] { run(); }};
  }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  /// Imports, and pulls from there from now on.
  void go_on_with(const std::vector<std::byte>& message, std::uint64_t seed) {
    const auto handles = manager_->import_metadata(message, {.deadline = 10s});
    ASSERT_THAT(handles, IsOk());
    const MutexLock lock{mutex_};
    source_ = handles->at(0);
    seed_ = seed;
  }
  void wait_for(std::atomic<std::uint64_t>& count, std::uint64_t more) const {
    const std::uint64_t goal = count + more;
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (count < goal) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "the puller hangs";
      std::this_thread::yield();
    }
  }

  std::atomic<std::uint64_t> good{0};
  std::atomic<std::uint64_t> refused{0};  ///< Stale or Unavailable
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> other{0};
  std::atomic<std::uint64_t> struck{0};  ///< ended after some of its bytes had moved

 private:
  void run() {
    const std::vector<BlockId> blocks = block_ids({3, 0, 7, 11, 2, 15});
    std::vector<testing::PatternBlock> expected;
    for (const BlockId block : blocks) {
      expected.push_back({block, block});
    }
    while (!stopping_) {
      const auto [source, seed] = current();
      const auto transfer =
          manager_->execute_transfer(source, blocks, mine_, blocks, {.deadline = 10s});
      if (!transfer) {
        count(transfer.error());
        continue;
      }
      const transfer::TransferReport report = transfer->wait();
      if (report.error) {
        struck += report.bytes_moved > 0 && report.bytes_moved < report.plan.bytes_moved ? 1 : 0;
        count(*report.error);
        continue;
      }
      const auto differing =
          testing::pattern_check(layout_->view(), layout_->region_bases(), expected, seed);
      ++(differing && differing->empty() ? good : wrong);
    }
  }
  std::pair<LayoutHandle, std::uint64_t> current() {
    const MutexLock lock{mutex_};
    return {source_, seed_};
  }
  void count(const Error& error) {
    const bool clear = error.code == ErrorCode::kStale || error.code == ErrorCode::kUnavailable;
    ++(clear ? refused : other);
  }

  std::unique_ptr<manager::TransportManager> manager_;
  transfer::PhysicalLayoutPtr layout_;
  LayoutHandle mine_;
  Mutex mutex_;
  LayoutHandle source_ KVFERRY_GUARDED_BY(mutex_);
  std::uint64_t seed_ KVFERRY_GUARDED_BY(mutex_){0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

TEST_F(RestartedPeer, UnderARunningPullerIsStaleThenReadAnewAndNeverWrong) {
  constexpr std::uint64_t kLives = 12;
  RunningPuller puller{directory_.path()};
  for (std::uint64_t seed = 1; seed <= kLives; ++seed) {
    start_life(seed);
    puller.go_on_with(fetch(), seed);
    if (seed == 1) {
      puller.start();
    }
    puller.wait_for(puller.good, 20);
    kill_worker();
    puller.wait_for(puller.refused, 20);
  }
  start_life(kLives + 1);
  puller.wait_for(puller.refused, 20);  // It is there; what the puller knows is still of the past.
  puller.go_on_with(fetch(), kLives + 1);
  puller.wait_for(puller.good, 20);
  puller.stop();
  std::printf(
      "%llu lives: %llu pulls good, %llu stale or unavailable (%llu in the middle), "
      "%llu wrong\n",
      static_cast<unsigned long long>(kLives + 1), static_cast<unsigned long long>(puller.good),
      static_cast<unsigned long long>(puller.refused),
      static_cast<unsigned long long>(puller.struck),
      static_cast<unsigned long long>(puller.wrong));
  EXPECT_EQ(puller.wrong, 0U);
  EXPECT_EQ(puller.other, 0U);
  EXPECT_GE(puller.good, 20 * kLives);
}

}  // namespace
}  // namespace kvferry
