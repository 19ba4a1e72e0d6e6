// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a worker's messages say one after the other, a handle names one layout for ever:
//       it reads that layout's bytes, or it is stale.
// Method: workers with agents of shared memory in one process, whose envelopes are imported in
// every
//         order that can happen, some changed with the wire's own writer; clocks that the test
//         sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "kvferry/base/try.hpp"
#include "kvferry/testing/manual_clock.hpp"
#include "kvferry/wire/envelope.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;
using testing::knowing_heads;
using testing::ManualClock;
using testing::shared_layout;
using testing::standard_config;
using testing::Worker;

using Bytes = std::vector<std::byte>;

/// A wall clock that the test sets.
class ManualWallClock final : public WallClock {
 public:
  [[nodiscard]] WallTime now() const noexcept override { return now_; }
  void set(WallTime now) { now_ = now; }
  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  WallTime now_{std::chrono::seconds{1'800'000'000}};
};

/// Another life of worker 7.
std::unique_ptr<Worker> new_owner(const testing::TemporaryDirectory& directory) {
  return std::make_unique<Worker>(directory, 7, "prefill-7");
}

class LifeCycle : public ::testing::Test {
 protected:
  LifeCycle() {
    ManagerOptions options{.worker_id = WorkerId{8}, .agent = agent_};
    options.clock = clock_;
    options.wall_clock = wall_clock_;
    reader_ = testing::make_manager(options);
    mine_ = *reader_->register_layout(destination_);
    first_ = add(1);
  }

  LayoutHandle add(std::uint64_t seed, bool guarded = false) {
    layouts_.push_back(make(seed, guarded));
    return *owner_->manager->register_layout(layouts_.back());
  }
  static transfer::PhysicalLayoutPtr make(std::uint64_t seed, bool guarded = false) {
    auto builder =
        transfer::PhysicalLayoutBuilder{standard_config(4), Arrangement::kFullyContiguous};
    builder.allocate_system();
    if (guarded) {
      builder.guarded();
    }
    const auto built = *builder.build();
    EXPECT_THAT(testing::pattern_fill(built->view(), built->region_bases(),
                                      testing::pattern_blocks(4), seed),
                IsOk());
    return built;
  }

  [[nodiscard]] Bytes envelope(const EnvelopeOptions& options = {}) const {
    return *owner_->manager->export_envelope(options);
  }
  /// The owner's envelope after `change`.
  [[nodiscard]] Bytes changed(const std::function<void(wire::Envelope&)>& change) const {
    wire::Envelope said = *wire::decode_envelope(envelope());
    change(said);
    const auto encoded = wire::encode_envelope(said);
    EXPECT_THAT(encoded, IsOk());
    return *encoded;
  }
  /// An envelope that holds for `lease` from the wall clock's time on.
  [[nodiscard]] Bytes leased(std::chrono::milliseconds lease) const {
    return changed([&](wire::Envelope& said) {
      said.issued = wall_clock_->now();
      said.lease = lease;
    });
  }

  Result<std::vector<LayoutHandle>> import(const Bytes& message) {
    return reader_->import_metadata(message);
  }

  /// What block 1 of the destination holds after a pull of block 3: the owner's pattern or not.
  Result<bool> pulls(LayoutHandle source, std::uint64_t seed) {
    return testing::pull_block(*reader_, source, mine_, *destination_, seed);
  }
  void expect_right_bytes(LayoutHandle source, std::uint64_t seed) {
    const auto right = pulls(source, seed);
    ASSERT_THAT(right, IsOk());
    EXPECT_TRUE(*right);
  }
  void expect_stale(LayoutHandle source, const char* why = "not registered or imported") {
    EXPECT_THAT(pulls(source, 0), FailsWith(ErrorCode::kStale, why));
  }

  testing::TemporaryDirectory directory_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<ManualWallClock> wall_clock_ = std::make_shared<ManualWallClock>();
  std::unique_ptr<Worker> owner_ = new_owner(directory_);
  std::shared_ptr<agent::Agent> agent_ = *agent::ShmAgent::create(
      {.name = "decode-8", .socket_directory = directory_.path(), .clock = clock_});
  std::unique_ptr<TransportManager> reader_;
  std::vector<transfer::PhysicalLayoutPtr> layouts_;
  transfer::PhysicalLayoutPtr destination_ =
      shared_layout(standard_config(4), Arrangement::kLayerSeparateBlockFirst, 99);
  LayoutHandle mine_;
  LayoutHandle first_;
};

TEST_F(LifeCycle, EnvelopeTellsLifeOrderAndHeads) {
  const auto handles = import(envelope());
  ASSERT_THAT(handles, IsOk());
  expect_right_bytes(handles->at(0), 1);  // Unlike arrangements: without heads it could not move.
  const auto peers = reader_->peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].epoch, owner_->manager->epoch());
  EXPECT_EQ(peers[0].generation, owner_->manager->generation());
}

TEST_F(LifeCycle, HigherGenerationUpdatesInPlace) {
  const auto before = import(envelope());
  ASSERT_THAT(before, IsOk());
  add(2);
  const auto after = import(envelope());
  ASSERT_THAT(after, IsOk());
  ASSERT_EQ(after->size(), 2U);
  EXPECT_EQ(after->at(0), before->at(0));
  expect_right_bytes(after->at(0), 1);
  expect_right_bytes(after->at(1), 2);
  ASSERT_THAT(owner_->manager->unregister_layout(first_, 1s), IsOk());
  EXPECT_THAT(import(envelope()), IsOk());
  expect_stale(before->at(0));
  expect_right_bytes(after->at(1), 2);
}

TEST_F(LifeCycle, ChangedLayoutHasAHandleOfItsOwn) {
  const LayoutHandle second = add(2);
  const auto before = import(envelope());
  ASSERT_THAT(before, IsOk());
  const auto changed = owner_->manager->change_layout(first_, make(3), 1s);
  ASSERT_THAT(changed, IsOk());
  EXPECT_THAT(owner_->manager->local_handles(), ElementsAre(second, *changed));
  expect_right_bytes(before->at(1), 2);
  const auto after = import(envelope());
  ASSERT_THAT(after, IsOk());
  EXPECT_EQ(after->at(0), before->at(1));
  expect_stale(before->at(0));
  expect_right_bytes(after->at(1), 3);
}

TEST_F(LifeCycle, SameGenerationAgainIsNothingNew) {
  const auto first = import(envelope());
  const auto second = import(envelope());
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(*first, *second);
}

TEST_F(LifeCycle, OtherContentOfTheSameGenerationIsCorrupt) {
  ASSERT_THAT(import(envelope()), IsOk());
  EXPECT_THAT(import(changed([](wire::Envelope& said) {
                std::get<layout::PackedLayout>(said.layouts[0].description).config.alignment = 2;
              })),
              FailsWith(ErrorCode::kCorrupt, "is known with another content"));
}

TEST_F(LifeCycle, LowerGenerationIsStale) {
  const Bytes old = envelope();
  add(2);
  const auto handles = import(envelope());
  ASSERT_THAT(handles, IsOk());
  EXPECT_THAT(import(old), FailsWith(ErrorCode::kStale, "is older than 3, which is known"));
  expect_right_bytes(handles->at(1), 2);
}

TEST_F(LifeCycle, RestartedWorkerTakesThePlaceOfItsOldLife) {
  const Bytes old = envelope();
  const auto before = import(old);
  ASSERT_THAT(before, IsOk());
  expect_right_bytes(before->at(0), 1);
  owner_.reset();
  owner_ = new_owner(directory_);
  ASSERT_EQ(add(4), first_) << "the same name for other memory";
  const auto after = import(envelope());
  ASSERT_THAT(after, IsOk());
  EXPECT_NE(after->at(0), before->at(0));
  EXPECT_EQ(after->at(0).layout_id(), before->at(0).layout_id());
  expect_stale(before->at(0));
  expect_right_bytes(after->at(0), 4);
  EXPECT_THAT(import(old), FailsWith(ErrorCode::kStale, "is an earlier life of worker 7"));
  expect_right_bytes(after->at(0), 4);
}

TEST_F(LifeCycle, PullFromADeadLifeFailsUntilTheNewOneIsImported) {
  const auto before = import(envelope());
  ASSERT_THAT(before, IsOk());
  owner_.reset();
  owner_ = new_owner(directory_);
  add(4);
  // In one process the old life's mapping is as good as ever; nothing reads other memory by it.
  const auto right = pulls(before->at(0), 1);
  EXPECT_TRUE(!right || *right);
  ASSERT_THAT(import(envelope()), IsOk());
  expect_stale(before->at(0));
}

TEST_F(LifeCycle, ForgottenHandlesNeverComeBack) {
  const auto before = import(envelope());
  ASSERT_THAT(before, IsOk());
  ASSERT_THAT(reader_->forget_peer(WorkerId{7}, 1s), IsOk());
  const auto after = import(envelope());
  ASSERT_THAT(after, IsOk());
  expect_stale(before->at(0));
  expect_right_bytes(after->at(0), 1);
}

TEST_F(LifeCycle, EnvelopeAfterFormatAIsAnUpdateAndTheOtherWayRoundNeedsAWord) {
  const auto by_a = reader_->import_metadata(owner_->exported(), knowing_heads());
  ASSERT_THAT(by_a, IsOk());
  const auto by_envelope = import(envelope());
  ASSERT_THAT(by_envelope, IsOk());
  EXPECT_EQ(*by_a, *by_envelope) << "the same layout, said in the same way";
  EXPECT_THAT(reader_->import_metadata(owner_->exported(), knowing_heads()),
              FailsWith(ErrorCode::kStale, "known by an envelope, which says more"));
  ImportOptions replace;  // Without heads: another view of the same bytes.
  replace.replace = true;
  const auto by_a_again = reader_->import_metadata(owner_->exported(), replace);
  ASSERT_THAT(by_a_again, IsOk());
  EXPECT_NE(*by_a_again, *by_a);
  expect_stale(by_a->at(0));
}

TEST_F(LifeCycle, MessageForAnotherWorkerIsRefused) {
  EXPECT_THAT(import(envelope({.audience = "decode-9"})),
              FailsWith(ErrorCode::kRefused,
                        "audience: the message is for \"decode-9\", and this is \"decode-8\""));
  EXPECT_THAT(import(envelope({.audience = "decode-8"})), IsOk());
}

TEST_F(LifeCycle, EnvelopeWithoutAPartForTheAgentIsUnavailable) {
  EXPECT_THAT(import(changed([](wire::Envelope& said) { said.agents[0].kind = "nixl"; })),
              FailsWith(ErrorCode::kUnavailable, "no agent of kind \"shm\""));
}

TEST_F(LifeCycle, ExpiredLeaseIsStaleAtImport) {
  const Bytes message = leased(500ms);
  wall_clock_->advance(500ms);
  EXPECT_THAT(import(message), FailsWith(ErrorCode::kStale, "lease: it ended 0 ms ago"));
  wall_clock_->advance(-1ms);
  EXPECT_THAT(import(message), IsOk());
}

TEST_F(LifeCycle, LeaseEndsAfterImportWhateverTheWallClockDoes) {
  const auto handles = import(leased(500ms));
  ASSERT_THAT(handles, IsOk());
  wall_clock_->advance(-24h);  // A clock that jumps, after import.
  expect_right_bytes(handles->at(0), 1);
  clock_->advance(499ms);
  expect_right_bytes(handles->at(0), 1);
  clock_->advance(1ms);
  expect_stale(handles->at(0), "the lease of what its worker told is over");
}

TEST_F(LifeCycle, SameGenerationProlongsTheLease) {
  const auto handles = import(leased(500ms));
  ASSERT_THAT(handles, IsOk());
  clock_->advance(600ms);
  wall_clock_->advance(600ms);
  expect_stale(handles->at(0), "lease");
  const auto again = import(leased(500ms));
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(*again, *handles);
  expect_right_bytes(handles->at(0), 1);
}

/// A copy that was under way for long, or that somebody kept, neither shortens the lease nor makes
/// it one without end.
TEST_F(LifeCycle, OlderCopyOfTheSameGenerationChangesNoLease) {
  const Bytes older = leased(500ms);
  const Bytes endless = leased(0ms);
  wall_clock_->advance(400ms);
  const auto handles = import(leased(500ms));
  ASSERT_THAT(handles, IsOk());
  for (const Bytes& copy : {older, endless}) {
    EXPECT_EQ(*import(copy), *handles);
  }
  clock_->advance(499ms);
  wall_clock_->advance(499ms);
  expect_right_bytes(handles->at(0), 1);
  clock_->advance(2ms);
  wall_clock_->advance(2ms);
  expect_stale(handles->at(0), "lease");
  EXPECT_THAT(import(endless), IsOk());
  expect_stale(handles->at(0), "lease");
  ASSERT_THAT(import(leased(0ms)), IsOk());
  expect_right_bytes(handles->at(0), 1);
}

TEST_F(LifeCycle, OlderCopyWithOtherAssumptionsChangesNoLease) {
  const Bytes older = leased(0ms);
  wall_clock_->advance(400ms);
  const auto handles = import(leased(500ms));
  ASSERT_THAT(handles, IsOk());
  ImportOptions other = knowing_heads();
  other.replace = true;
  const auto again = reader_->import_metadata(older, other);
  ASSERT_THAT(again, IsOk());
  expect_right_bytes(again->at(0), 1);
  clock_->advance(501ms);
  wall_clock_->advance(501ms);
  expect_stale(again->at(0), "lease");
}

TEST_F(LifeCycle, ClockThatWasSetBackEndsNoLease) {
  const auto handles = import(leased(500ms));
  ASSERT_THAT(handles, IsOk());
  wall_clock_->advance(-24h);
  clock_->advance(400ms);
  ASSERT_THAT(import(leased(500ms)), IsOk());
  clock_->advance(400ms);
  expect_right_bytes(handles->at(0), 1);
}

/// Nothing is said of the age of a message without a lease, so it may come from the future.
TEST_F(LifeCycle, EndlessMessageFromTheFutureHoldsUntilThereIsALease) {
  wall_clock_->advance(24h);
  const Bytes endless = leased(0ms);
  wall_clock_->advance(-24h);
  const auto handles = import(endless);
  ASSERT_THAT(handles, IsOk());
  ASSERT_THAT(import(leased(500ms)), IsOk());
  clock_->advance(499ms);
  expect_right_bytes(handles->at(0), 1);
  clock_->advance(2ms);
  expect_stale(handles->at(0), "lease");
}

/// Whoever holds a handle has asked whose cache it is.
TEST_F(LifeCycle, ALayoutThatIsSaidToBeAnothersHasAHandleOfItsOwn) {
  const auto says = [this](std::uint64_t news, const char* model, const char* group) {
    const auto handles = import(changed([&](wire::Envelope& said) {
      said.generation += news;
      said.layouts[0].model = model;
      said.layouts[0].group = group;
    }));
    EXPECT_THAT(handles, IsOk());
    return handles->at(0);
  };
  const LayoutHandle first = says(0, "", "");
  EXPECT_EQ(says(1, "base@1", ""), first) << "what was not told is told now";
  EXPECT_EQ(reader_->meaning(first)->model, "base@1");
  EXPECT_EQ(says(2, "base@1", "full"), first);
  const LayoutHandle other_model = says(3, "base@2", "full");
  EXPECT_NE(other_model, first);
  expect_stale(first);
  const LayoutHandle other_group = says(4, "base@2", "window");
  EXPECT_NE(other_group, other_model);
  expect_stale(other_model);
  expect_right_bytes(other_group, 1);
}

TEST_F(LifeCycle, MessageFromTheFutureIsRefused) {
  const Bytes message = leased(1h);
  wall_clock_->advance(-3s);  // Ours, or the owner's, has jumped.
  EXPECT_THAT(import(message), FailsWith(ErrorCode::kRefused, "issued: 3000 ms after this"));
  wall_clock_->advance(1s);  // Within what is allowed for.
  const auto handles = import(message);
  ASSERT_THAT(handles, IsOk());
  clock_->advance(1h);  // Not longer than the lease, however far the clocks are apart.
  expect_stale(handles->at(0), "lease");
}

TEST_F(LifeCycle, RegionsThatTheUpdateInventsLeaveThePeerAsItWas) {
  const auto handles = import(envelope());
  ASSERT_THAT(handles, IsOk());
  const Bytes wrong = changed([](wire::Envelope& said) {
    said.generation += 1;
    said.layouts[0].regions[0].address += std::uint64_t{1} << 40U;
  });
  EXPECT_THAT(import(wrong), FailsWith(ErrorCode::kInvalidArgument, "not inside memory"));
  expect_right_bytes(handles->at(0), 1);
  const Bytes invented_guards = changed([](wire::Envelope& said) {
    said.generation += 1;
    said.layouts[0].guards = Region{8, 32};
  });
  EXPECT_THAT(import(invented_guards), FailsWith(ErrorCode::kInvalidArgument, "guards: "));
  expect_right_bytes(handles->at(0), 1);
  EXPECT_EQ(reader_->peers().at(0).generation, owner_->manager->generation());
}

TEST_F(LifeCycle, GuardsThatDoNotFitTheBlocksAreCorrupt) {
  const auto with_guards = [&](const Region& guards) {
    return changed([&](wire::Envelope& said) { said.layouts[0].guards = guards; });
  };
  EXPECT_THAT(import(with_guards({4096, 24})),
              FailsWith(ErrorCode::kCorrupt, "guards: 24 bytes for 4 blocks"));
  EXPECT_THAT(import(with_guards({4100, 32})), FailsWith(ErrorCode::kCorrupt, "guards: 4100"));
}

TEST_F(LifeCycle, GuardedBlockThatItsEngineWritesIsNotTaken) {
  add(2, true);
  const auto handles = import(envelope());
  ASSERT_THAT(handles, IsOk());
  expect_right_bytes(handles->at(1), 2);
  const auto& guards = layouts_.back()->guards();
  ASSERT_THAT(guards->begin_write(BlockId{3}), IsOk());
  EXPECT_THAT(pulls(handles->at(1), 2),
              FailsWith(ErrorCode::kStale, "source block 3 changed while it was copied"));
  ASSERT_THAT(guards->end_write(BlockId{3}), IsOk());
  expect_right_bytes(handles->at(1), 2);

  const std::vector<std::uint64_t> expected{0};
  const auto pull = [&](LayoutHandle source) -> Result<void> {
    KVFERRY_ASSIGN_OR_RETURN(const auto transfer, reader_->execute_transfer(
                                                      source, block_ids({3}), mine_, block_ids({1}),
                                                      {.expected_sequences = expected}));
    const auto report = transfer.wait();
    return report.error ? Result<void>{*report.error} : Result<void>{};
  };
  EXPECT_THAT(pull(handles->at(1)),
              FailsWith(ErrorCode::kStale, "source block 3 has sequence number 2, not 0"));
  EXPECT_THAT(pull(handles->at(0)), FailsWith(ErrorCode::kInvalidArgument, "has no guards"));
}

TEST_F(LifeCycle, UpdateWaitsOnlyForTransfersOfWhatItTakesAway) {
  add(2);
  const auto handles = import(envelope());
  ASSERT_THAT(handles, IsOk());
  // A transfer of each layout that hangs in its first piece.
  const auto faulty = std::make_shared<testing::FaultyAgent>(
      *agent::ShmAgent::create({.name = "decode-10", .socket_directory = directory_.path()}),
      testing::Fault{.kind = testing::FaultKind::kDrop});
  const auto slow = testing::make_manager({.worker_id = WorkerId{10}, .agent = faulty});
  const auto into = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 9);
  const LayoutHandle to = *slow->register_layout(into);
  ASSERT_THAT(slow->import_metadata(envelope()), IsOk());
  const auto held =
      slow->execute_transfer(handles->at(1), block_ids({0}), to, block_ids({0}), {.deadline = 30s});
  ASSERT_THAT(held, IsOk());
  ASSERT_FALSE(held->poll().has_value());

  ASSERT_THAT(owner_->manager->unregister_layout(first_, 1s), IsOk());
  EXPECT_THAT(slow->import_metadata(envelope(), {.deadline = 5s}), IsOk())
      << "the layout in use is kept";
  EXPECT_FALSE(held->poll().has_value());
  ASSERT_THAT(owner_->manager->unregister_layout(handles->at(1), 1s), IsOk());
  EXPECT_THAT(slow->import_metadata(envelope(), {.deadline = 50ms}),
              FailsWith(ErrorCode::kDeadline, "worker 7 is still used by transfers"));
  EXPECT_EQ(slow->peers().at(0).layouts.size(), 1U);
  EXPECT_EQ(held->cancel().error->code, ErrorCode::kCancelled);
  EXPECT_THAT(slow->import_metadata(envelope(), {.deadline = 5s}), IsOk());
  EXPECT_TRUE(slow->peers().at(0).layouts.empty());
}

}  // namespace
}  // namespace kvferry::manager
