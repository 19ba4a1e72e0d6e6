// SPDX-License-Identifier: Apache-2.0
// Goal: every executor moves exactly the runs that it is given, and tells the truth about them.
// Method: one suite, run over each executor; runs are written down here, the expected bytes are
//         worked out byte by byte. Another executor is another line at the end.
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/testing/faulty_agent.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

using layout::BlockDimension;
using layout::LayoutConfig;
using testing::IsOk;

/// Two regions of 4 KiB on each side.
constexpr std::uint64_t kRegionBytes = 4096;

PhysicalLayoutPtr two_regions() {
  const LayoutConfig config{.num_blocks = 1,
                            .num_layers = 2,
                            .outer_dim = 1,
                            .page_size = 1,
                            .inner_dim = kRegionBytes,
                            .dtype_width_bytes = 1};
  auto built =
      PhysicalLayout::layer_separate(config, BlockDimension::kBlockIsFirstDim).allocate_system();
  return *built.build();
}

/// What an executor stands on, kept alive beside it.
struct Stand {
  std::unique_ptr<const Executor> executor;
  std::vector<std::shared_ptr<const void>> keep_alive;
  std::function<void()> bring_back{};  ///< into the destination, what went elsewhere
};

using Make = std::function<Stand(PhysicalLayoutPtr source, PhysicalLayoutPtr destination)>;

struct ExecutorCase {
  std::string name;
  std::string route;
  Make make;

  friend void PrintTo(const ExecutorCase& which, std::ostream* out) { *out << which.name; }
};

class ExecutorConformance : public ::testing::TestWithParam<ExecutorCase> {
 protected:
  using Bytes = std::vector<std::vector<std::byte>>;

  ExecutorConformance() {
    std::byte next{1};
    for (const PhysicalLayoutPtr& layout : {source_, destination_}) {
      for (std::byte* const base : layout->region_bases()) {
        for (std::uint64_t i = 0; i < kRegionBytes; ++i) {
          next = static_cast<std::byte>(std::to_integer<unsigned>(next) * 13 + 7);
          base[i] = next;
        }
      }
    }
    stand_ = GetParam().make(source_, destination_);
  }

  static Bytes bytes_of(const PhysicalLayoutPtr& layout) {
    Bytes all;
    for (const std::byte* const base : layout->region_bases()) {
      all.emplace_back(base, base + kRegionBytes);
    }
    return all;
  }

  Bytes expected_after(const std::vector<kvferry::Run>& runs) const {
    const Bytes from = bytes_of(source_);
    Bytes to = bytes_of(destination_);
    for (const kvferry::Run& run : runs) {
      for (std::uint64_t piece = 0; piece < run.count; ++piece) {
        for (std::uint64_t i = 0; i < run.bytes; ++i) {
          const auto at = [&](const RunEnd& end) {
            return end.offset_bytes + piece * end.stride_bytes + i;
          };
          to[run.destination.region][at(run.destination)] = from[run.source.region][at(run.source)];
        }
      }
    }
    return to;
  }

  /// Posts and waits for the end.
  Result<void> move(const std::vector<kvferry::Run>& runs) const {
    Result<void> moved = post_and_wait(runs);
    look();
    return moved;
  }

  /// May be called by many threads at once; only look() then brings the bytes into sight.
  Result<void> post_and_wait(const std::vector<kvferry::Run>& runs) const {
    auto posted = executor().post({runs});
    if (!posted) {
      return std::move(posted).error();
    }
    if (!posted->has_value()) {
      return {};
    }
    auto state = executor().poll(**posted);
    while (state.has_value() && *state == agent::RequestState::kPending) {
      std::this_thread::yield();
      state = executor().poll(**posted);
    }
    EXPECT_TRUE(executor().quiet(**posted)) << "at its end, and still writing";
    executor().release(**posted);
    return state ? Result<void>{} : Result<void>{std::move(state).error()};
  }

  /// What lies in a file is brought into the memory that the tests look at.
  void look() const {
    if (stand_.bring_back) {
      stand_.bring_back();
    }
  }

  [[nodiscard]] const Executor& executor() const { return *stand_.executor; }

  PhysicalLayoutPtr source_ = two_regions();
  PhysicalLayoutPtr destination_ = two_regions();
  Stand stand_;
};

TEST_P(ExecutorConformance, NamesItsRoute) { EXPECT_EQ(executor().route(), GetParam().route); }

TEST_P(ExecutorConformance, MovesTheBytesOfEveryRunAndNoOthers) {
  const std::vector<kvferry::Run> runs{
      {{0, 0, 0}, {1, 0, 0}, 1, 1},              // One byte.
      {{1, 4000, 0}, {0, 96, 0}, 96, 1},         // Up to the last byte of a region.
      {{0, 100, 0}, {1, 100, 300}, 64, 5},       // One piece to many places.
      {{1, 0, 100}, {0, 1000, 50}, 50, 7},       // Gathered together.
      {{0, 2048, 512}, {1, 2048, 512}, 512, 4},  // One whole in pieces.
      {{0, 0, 0}, {0, 3000, 0}, 0, 1},           // Nothing.
      {{0, 0, 0}, {0, 3000, 0}, 10, 0},          // Nothing.
  };
  const Bytes after = expected_after(runs);
  const Bytes source_before = bytes_of(source_);
  ASSERT_THAT(move(runs), IsOk());
  EXPECT_EQ(bytes_of(destination_), after);
  EXPECT_EQ(bytes_of(source_), source_before);
}

TEST_P(ExecutorConformance, MovesNothingForNoRuns) {
  const Bytes before = bytes_of(destination_);
  ASSERT_THAT(move({}), IsOk());
  EXPECT_EQ(bytes_of(destination_), before);
}

TEST_P(ExecutorConformance, MayBeUsedByManyThreadsAtOnce) {
  std::vector<kvferry::Run> all;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    all.push_back({{0, thread * 1024, 256}, {1, thread * 1024, 256}, 256, 4});
  }
  const Bytes after = expected_after(all);
  for (const kvferry::Run& run : all) {
    threads.emplace_back([this, run] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_THAT(post_and_wait({run}), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  look();
  EXPECT_EQ(bytes_of(destination_), after);
}

TEST_P(ExecutorConformance, SaysThatTheOwnerLives) {
  EXPECT_THAT(executor().check_owner(), IsOk());
}

TEST_P(ExecutorConformance, TakesRequestsThatItDoesNotKnowForQuiet) {
  const agent::RequestId unknown{12'345};
  EXPECT_TRUE(executor().quiet(unknown));
  executor().cancel(unknown);
  executor().release(unknown);
}

TEST_P(ExecutorConformance, KeepsItsMemoryAlive) {
  stand_.bring_back = nullptr;
  const std::weak_ptr<const PhysicalLayout> watch{destination_};
  destination_.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_THAT(move({{{0, 0, 0}, {1, 0, 0}, 100, 1}}), IsOk());
  stand_ = Stand{};
  EXPECT_TRUE(watch.expired());
}

Stand host(PhysicalLayoutPtr source, PhysicalLayoutPtr destination) {
  return {make_host_executor(std::move(source), std::move(destination)), {}};
}

/// Reads from another agent of shared memory in this process.
Stand shm(PhysicalLayoutPtr source, PhysicalLayoutPtr destination,
          const std::optional<testing::Fault>& fault) {
  const auto directory = std::make_shared<testing::TemporaryDirectory>();
  const auto make = [&](const char* name) {
    return *agent::ShmAgent::create({.name = name, .socket_directory = directory->path()});
  };
  const auto owner = make("owner");
  std::shared_ptr<agent::Agent> reader = make("reader");
  if (fault) {
    reader = std::make_shared<testing::FaultyAgent>(reader, fault);
  }
  EXPECT_THAT(owner->register_memory(source->memories().front(), Access::kRead), IsOk());
  const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  const auto peer = reader->load_peer("owner", *owner->local_metadata(), deadline);
  EXPECT_THAT(peer, IsOk());
  const auto side = reader->prepare_remote(*peer, source->view().regions());
  EXPECT_THAT(side, IsOk());
  auto executor = make_agent_executor(
      {reader, *peer, agent::Operation::kRead, *side, destination->view().regions(), destination});
  EXPECT_THAT(executor, IsOk());
  return {*std::move(executor), {directory, owner}};
}

/// A file with the bytes of a layout in memory.
PhysicalLayoutPtr file_of(const PhysicalLayoutPtr& layout, const std::string& path) {
  auto built = PhysicalLayout::layer_separate(layout->config(), BlockDimension::kBlockIsFirstDim)
                   .allocate_disk({.path = path})
                   .build();
  EXPECT_THAT(built, IsOk());
  for (std::size_t i = 0; i < layout->regions().size(); ++i) {
    EXPECT_EQ(::pwrite((*built)->files()[i]->descriptor(), layout->region_bases()[i], kRegionBytes,
                       static_cast<off_t>((*built)->regions()[i].address)),
              static_cast<ssize_t>(kRegionBytes));
  }
  return *built;
}

std::function<void()> bring_back(const PhysicalLayoutPtr& file, const PhysicalLayoutPtr& layout) {
  return [file, bases = std::vector<std::byte*>{layout->region_bases().begin(),
                                                layout->region_bases().end()}] {
    for (std::size_t i = 0; i < bases.size(); ++i) {
      EXPECT_EQ(::pread(file->files()[i]->descriptor(), bases[i], kRegionBytes,
                        static_cast<off_t>(file->regions()[i].address)),
                static_cast<ssize_t>(kRegionBytes));
    }
  };
}

std::unique_ptr<const Executor> file_hop(const std::shared_ptr<disk::Queue>& queue,
                                         disk::Direction direction, const PhysicalLayoutPtr& file,
                                         std::vector<std::byte*> memory,
                                         std::shared_ptr<const void> keep_alive) {
  return make_file_executor({queue, direction, file, std::move(memory), std::move(keep_alive)});
}

/// One end on disk, or both.
Stand files(const PhysicalLayoutPtr& source, const PhysicalLayoutPtr& destination, bool from_file,
            bool into_file) {
  const auto directory = std::make_shared<testing::TemporaryDirectory>();
  const auto queue = *disk::Queue::open({.depth = 4}, {});
  const auto bases = [](const PhysicalLayoutPtr& layout) {
    return std::vector<std::byte*>{layout->region_bases().begin(), layout->region_bases().end()};
  };
  const auto from = from_file ? file_of(source, directory->path() + "/from") : source;
  const auto into = into_file ? file_of(destination, directory->path() + "/into") : destination;
  if (!into_file) {
    return {file_hop(queue, disk::Direction::kRead, from, bases(into), into), {directory}};
  }
  Stand stand{nullptr, {directory, destination}, bring_back(into, destination)};
  if (!from_file) {
    stand.executor = file_hop(queue, disk::Direction::kWrite, into, bases(from), from);
    return stand;
  }
  const auto pool = std::make_shared<BouncePool>(*memory::allocate_system(8192));
  const std::vector<std::byte*> bounce{pool->memory()->bytes().data()};
  stand.executor = make_staged_executor(
      file_hop(queue, disk::Direction::kRead, from, bounce, pool->memory()),
      file_hop(queue, disk::Direction::kWrite, into, bounce, pool->memory()), pool);
  return stand;
}

template <bool kFromFile, bool kIntoFile>
Stand files(PhysicalLayoutPtr source, PhysicalLayoutPtr destination) {
  return files(source, destination, kFromFile, kIntoFile);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorConformance,
    ::testing::Values(ExecutorCase{"host", "host copy", host},
                      ExecutorCase{"file_read", "file", files<true, false>},
                      ExecutorCase{"file_write", "file", files<false, true>},
                      ExecutorCase{"staged", "file + file", files<true, true>},
                      ExecutorCase{"shm", "shm read",
                                   [](PhysicalLayoutPtr from, PhysicalLayoutPtr to) {
                                     return shm(std::move(from), std::move(to), std::nullopt);
                                   }},
                      // Every first piece becomes a request that is pending for a while.
                      ExecutorCase{"shm_late", "shm read",
                                   [](PhysicalLayoutPtr from, PhysicalLayoutPtr to) {
                                     return shm(std::move(from), std::move(to),
                                                testing::Fault{testing::FaultKind::kDelay, 0,
                                                               std::chrono::milliseconds{20}});
                                   }}),
    [](const auto& which) { return which.param.name; });

}  // namespace
}  // namespace kvferry::transfer
