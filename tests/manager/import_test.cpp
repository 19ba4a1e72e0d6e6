// SPDX-License-Identifier: Apache-2.0
// Goal: a message is taken over whole or not at all, from the worker that it says; what replaces it
//       or takes it away leaves no handle that points at the wrong bytes.
// Method: several workers with agents of shared memory in one process; messages are exported, then
//         changed with the wire's own writer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using layout::BlockDimension;
using layout::InnerShape;
using ::testing::ElementsAre;
using testing::FailsWith;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::knowing_heads;
using testing::shared_layout;
using testing::standard_config;
using testing::Worker;
using wire::RdmaLayoutDescriptors;
using wire::SerializedLayout;

class Import : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSeed = 11;

  Import() {
    for (const Arrangement arrangement : testing::kAllArrangements) {
      layouts_.push_back(shared_layout(standard_config(4), arrangement, kSeed));
      theirs_.push_back(*owner_.manager->register_layout(layouts_.back()));
    }
    mine_ = *reader_.manager->register_layout(destination_);
  }

  /// The owner's message after `change`.
  SerializedLayout changed(const std::function<void(RdmaLayoutDescriptors&)>& change) const {
    RdmaLayoutDescriptors said = *owner_.exported().unpack();
    change(said);
    auto packed = SerializedLayout::pack(said.worker_address, said.nixl_metadata, said.layouts);
    EXPECT_THAT(packed, IsOk());
    return *packed;
  }

  /// Pulls a block and says whether it holds the pattern of `seed`.
  Result<bool> pulls(LayoutHandle source, std::uint64_t seed) {
    return testing::pull_block(*reader_.manager, source, mine_, *destination_, seed);
  }
  void expect_right_bytes(LayoutHandle source, std::uint64_t seed = kSeed) {
    const auto right = pulls(source, seed);
    ASSERT_THAT(right, IsOk());
    EXPECT_TRUE(*right);
  }
  void expect_stale(LayoutHandle source) {
    EXPECT_THAT(pulls(source, kSeed), FailsWith(ErrorCode::kStale, ""));
    EXPECT_THAT(reader_.manager->compatibility(source, mine_), FailsWith(ErrorCode::kStale, ""));
  }

  /// `message` must be refused, leave nothing, and not be in the way of a good one.
  void refused(const SerializedLayout& message, ErrorCode code, const char* why,
               const ImportOptions& options = knowing_heads()) {
    EXPECT_THAT(reader_.manager->import_metadata(message, options), FailsWith(code, why));
    EXPECT_THAT(reader_.manager->peers(), IsEmpty());
    expect_stale(theirs_[0]);
    const auto handles = reader_.manager->import_metadata(owner_.exported(), knowing_heads());
    ASSERT_THAT(handles, IsOk());
    expect_right_bytes(handles->at(0));
    EXPECT_THAT(reader_.manager->forget_peer(WorkerId{7}, 1s), IsOk());
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "prefill-7"};
  Worker reader_{directory_, 8, "decode-8"};
  std::vector<transfer::PhysicalLayoutPtr> layouts_;
  std::vector<LayoutHandle> theirs_;
  transfer::PhysicalLayoutPtr destination_ =
      shared_layout(standard_config(4), Arrangement::kFullyContiguous, 99);
  LayoutHandle mine_;
};

TEST_F(Import, GivesHandlesInTheMessagesOrderAndReachesTheRightBytes) {
  const auto message =
      changed([](RdmaLayoutDescriptors& said) { std::swap(said.layouts[0], said.layouts[2]); });
  const auto handles = reader_.manager->import_metadata(message, knowing_heads());
  ASSERT_THAT(handles, IsOk());
  EXPECT_THAT(*handles, ElementsAre(theirs_[2], theirs_[1], theirs_[0]));
  for (const LayoutHandle handle : *handles) {
    expect_right_bytes(handle);
  }
  const auto peers = reader_.manager->peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].worker_id, WorkerId{7});
  EXPECT_EQ(peers[0].agent_name, "prefill-7");
  EXPECT_EQ(peers[0].layouts, *handles);
  EXPECT_THAT(reader_.manager->local_handles(), ElementsAre(mine_));
}

TEST_F(Import, BadThirdLayoutLeavesNothingBehind) {
  refused(changed([](RdmaLayoutDescriptors& said) {
            said.layouts[2].layout.layout_config.page_size = 17;
          }),
          ErrorCode::kCorrupt, "region");
  refused(changed([](RdmaLayoutDescriptors& said) {
            said.layouts[2].layout.memory_descriptors[1].address += std::uint64_t{1} << 40U;
          }),
          ErrorCode::kInvalidArgument, "layout=2");
}

TEST_F(Import, RefusesRegionsThatThePeersAgentDidNotRegister) {
  // Memory of the owner, but of a layout that is nobody's business.
  const auto secret = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 5);
  ASSERT_THAT(owner_.manager->register_layout(secret, {.access = Access::kNone}), IsOk());
  refused(changed([&](RdmaLayoutDescriptors& said) {
            said.layouts[0].layout.memory_descriptors[0].address =
                secret->view().regions()[0].address;
          }),
          ErrorCode::kInvalidArgument, "not inside memory that the peer registered");
}

TEST_F(Import, RefusesHandlesOfAnotherWorker) {
  refused(changed([](RdmaLayoutDescriptors& said) {
            said.layouts[1].handle = LayoutHandle{WorkerId{8}, LayoutId{0}};  // The reader's own.
          }),
          ErrorCode::kCorrupt, "handle_worker_mismatch");
  refused(
      changed([](RdmaLayoutDescriptors& said) { said.layouts[1].handle = said.layouts[0].handle; }),
      ErrorCode::kCorrupt, "duplicate_handle");
  EXPECT_THAT(reader_.manager->local_handles(), ElementsAre(mine_));
}

TEST_F(Import, RefusesWhatIsNotAMessage) {
  refused(SerializedLayout::from_bytes({}), ErrorCode::kCorrupt, "");
  const auto whole = owner_.exported();
  std::vector<std::byte> cut{whole.as_bytes().begin(), whole.as_bytes().end()};
  cut.pop_back();
  refused(SerializedLayout::from_bytes(cut), ErrorCode::kCorrupt, "");
}

TEST_F(Import, RefusesABlobThatTheAgentCannotRead) {
  refused(changed([](RdmaLayoutDescriptors& said) { said.nixl_metadata.clear(); }),
          ErrorCode::kCorrupt, "");
  refused(changed([](RdmaLayoutDescriptors& said) { said.nixl_metadata[0] ^= std::byte{1}; }),
          ErrorCode::kCorrupt, "");
}

TEST_F(Import, RefusesItsOwnMessage) {
  EXPECT_THAT(owner_.manager->import_metadata(owner_.exported()),
              FailsWith(ErrorCode::kInvalidArgument, "is this worker's own"));
  // Its own agent under another worker's id, and the other way round.
  const auto other_id = changed([](RdmaLayoutDescriptors& said) {
    said.worker_address.worker_id = WorkerId{70};
    said.layouts.clear();
  });
  EXPECT_THAT(owner_.manager->import_metadata(other_id),
              FailsWith(ErrorCode::kInvalidArgument, "prefill-7"));
  const auto other_name = changed([](RdmaLayoutDescriptors& said) {
    said.worker_address.nixl_agent_name = "somebody";
    said.layouts.clear();
  });
  EXPECT_THAT(owner_.manager->import_metadata(other_name),
              FailsWith(ErrorCode::kInvalidArgument, "is this worker's own"));
  EXPECT_THAT(owner_.manager->peers(), IsEmpty());
}

TEST_F(Import, RefusesAWorkerIdThatAnotherAgentHas) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  const Worker impostor{directory_, 7, "impostor"};
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  EXPECT_THAT(reader_.manager->import_metadata(impostor.exported(), replace),
              FailsWith(ErrorCode::kRefused, "worker 7 is known as agent \"prefill-7\""));
  expect_right_bytes(theirs_[0]);
  ASSERT_THAT(reader_.manager->forget_peer(WorkerId{7}, 1s), IsOk());
  EXPECT_THAT(reader_.manager->import_metadata(impostor.exported()), IsOk());
}

TEST_F(Import, RefusesAnAgentThatAnotherWorkerIdHas) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  const auto second = changed([](RdmaLayoutDescriptors& said) {
    said.worker_address.worker_id = WorkerId{70};
    said.layouts.clear();
  });
  EXPECT_THAT(reader_.manager->import_metadata(second), FailsWith(ErrorCode::kBusy, "prefill-7"));
  EXPECT_EQ(reader_.manager->peers().size(), 1U);
  expect_right_bytes(theirs_[0]);
}

TEST_F(Import, SameMessageAgainGivesTheSameHandles) {
  const auto message = owner_.exported();
  const auto first = reader_.manager->import_metadata(message, knowing_heads());
  ASSERT_THAT(first, IsOk());
  const auto second = reader_.manager->import_metadata(message, knowing_heads());
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(reader_.manager->peers().size(), 1U);
}

TEST_F(Import, ChangedMessageIsStaleUnlessItMayReplace) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  const auto added = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 22);
  const LayoutHandle new_handle = *owner_.manager->register_layout(added);
  const auto message = owner_.exported();
  EXPECT_THAT(reader_.manager->import_metadata(message, knowing_heads()),
              FailsWith(ErrorCode::kStale, "worker 7 is known by another message"));
  expect_stale(new_handle);
  expect_right_bytes(theirs_[2]);

  ImportOptions replace = knowing_heads();
  replace.replace = true;
  const auto handles = reader_.manager->import_metadata(message, replace);
  ASSERT_THAT(handles, IsOk());
  EXPECT_EQ(handles->size(), 4U);
  expect_right_bytes(new_handle, 22);
  expect_right_bytes(theirs_[2]);
  EXPECT_EQ(reader_.manager->peers().size(), 1U);
}

TEST_F(Import, OtherAssumptionsAreAChangeToo) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  EXPECT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads(4)),
              FailsWith(ErrorCode::kStale, "worker 7"));
}

TEST_F(Import, LayoutThatWasTakenBackIsStaleAfterTheUpdate) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  ASSERT_THAT(owner_.manager->unregister_layout(theirs_[1], 1s), IsOk());
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), replace), IsOk());
  expect_stale(theirs_[1]);
  expect_right_bytes(theirs_[0]);
}

TEST_F(Import, ReplacementThatIsWrongLeavesThePeerAsItWas) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  const auto wrong_region = changed([](RdmaLayoutDescriptors& said) {
    said.layouts[2].layout.memory_descriptors[1].address += std::uint64_t{1} << 40U;
  });
  EXPECT_THAT(reader_.manager->import_metadata(wrong_region, replace),
              FailsWith(ErrorCode::kInvalidArgument, "layout=2"));
  const auto wrong_blob =
      changed([](RdmaLayoutDescriptors& said) { said.nixl_metadata[0] ^= std::byte{1}; });
  EXPECT_THAT(reader_.manager->import_metadata(wrong_blob, replace),
              FailsWith(ErrorCode::kCorrupt, ""));
  for (const LayoutHandle handle : theirs_) {
    expect_right_bytes(handle);
  }
  EXPECT_EQ(reader_.manager->peers().at(0).layouts, theirs_);
}

TEST_F(Import, ReplacementOfOtherMemoryThatIsWrongLeavesThePeerAsItWas) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  const auto before = *owner_.exported().unpack();
  const Worker twin{directory_, 7, "prefill-7"};  // The worker restarted: all memory is another.
  const auto other = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 33);
  ASSERT_THAT(twin.manager->register_layout(other), IsOk());
  RdmaLayoutDescriptors said = *twin.exported().unpack();
  said.layouts = before.layouts;  // Regions that the new life has not got.
  const auto message =
      *SerializedLayout::pack(said.worker_address, said.nixl_metadata, said.layouts);
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  EXPECT_THAT(reader_.manager->import_metadata(message, replace),
              FailsWith(ErrorCode::kInvalidArgument, "not inside memory"));
  for (const LayoutHandle handle : theirs_) {
    expect_right_bytes(handle);
  }
}

TEST_F(Import, RestartedWorkerIsReplacedAndItsNewBytesArrive) {
  auto first = std::make_unique<Worker>(directory_, 9, "prefill-9");
  const auto old_memory = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 1);
  const LayoutHandle handle = *first->manager->register_layout(old_memory);
  ASSERT_THAT(reader_.manager->import_metadata(first->exported(), knowing_heads()), IsOk());
  expect_right_bytes(handle, 1);
  first.reset();

  const Worker second{directory_, 9, "prefill-9"};
  const auto new_memory =
      shared_layout(standard_config(4), Arrangement::kLayerSeparateBlockFirst, 2);
  ASSERT_EQ(*second.manager->register_layout(new_memory), handle);
  EXPECT_THAT(reader_.manager->import_metadata(second.exported(), knowing_heads()),
              FailsWith(ErrorCode::kStale, "worker 9"));
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  const auto handles = reader_.manager->import_metadata(second.exported(), replace);
  ASSERT_THAT(handles, IsOk());
  expect_right_bytes(handles->at(0), 2);
  expect_stale(handle);  // Whoever still has it means blocks of the old life.
}

TEST_F(Import, RestartedWorkerWithEqualLayoutsAtEqualAddressesIsAnotherOneAllTheSame) {
  auto first = std::make_unique<Worker>(directory_, 9, "prefill-9");
  const auto memory = shared_layout(standard_config(4), Arrangement::kFullyContiguous, 1);
  ASSERT_THAT(first->manager->register_layout(memory), IsOk());
  const auto before = reader_.manager->import_metadata(first->exported(), knowing_heads());
  ASSERT_THAT(before, IsOk());
  expect_right_bytes(before->at(0), 1);
  first.reset();

  const Worker second{directory_, 9, "prefill-9"};
  ASSERT_THAT(second.manager->register_layout(memory), IsOk());
  ImportOptions replace = knowing_heads();
  replace.replace = true;
  const auto after = reader_.manager->import_metadata(second.exported(), replace);
  ASSERT_THAT(after, IsOk());
  EXPECT_NE(after->at(0), before->at(0));
  expect_right_bytes(after->at(0), 1);
  expect_stale(before->at(0));
}

TEST_F(Import, ForgottenPeersHandlesAreStaleAndItCanComeBack) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  expect_right_bytes(theirs_[0]);
  ASSERT_THAT(reader_.manager->forget_peer(WorkerId{7}, 1s), IsOk());
  EXPECT_THAT(reader_.manager->peers(), IsEmpty());
  expect_stale(theirs_[0]);
  EXPECT_THAT(reader_.manager->forget_peer(WorkerId{7}, 1s), FailsWith(ErrorCode::kStale, ""));
  const auto handles = reader_.manager->import_metadata(owner_.exported(), knowing_heads());
  ASSERT_THAT(handles, IsOk());
  expect_right_bytes(handles->at(0));
  expect_stale(theirs_[0]);
}

TEST_F(Import, WhatIsNotSaidIsRefusedUntilItIsAssumed) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported()), IsOk());
  // Both sides are NHD with the same page: whole pieces may move although heads are not told.
  expect_right_bytes(theirs_[1]);
  layout::LayoutConfig hnd = standard_config(4);
  hnd.inner_shape = InnerShape::kHnd;
  const auto other = shared_layout(hnd, Arrangement::kFullyContiguous, 1);
  const LayoutHandle to = *reader_.manager->register_layout(other);
  const auto pull = [&](LayoutHandle from) {
    return reader_.manager->execute_transfer(from, block_ids({0}), to, block_ids({0}));
  };
  EXPECT_THAT(pull(theirs_[1]), FailsWith(ErrorCode::kIncompatible, "format A tells no heads"));
  ASSERT_THAT(reader_.manager->forget_peer(WorkerId{7}, 1s), IsOk());
  const auto handles = reader_.manager->import_metadata(owner_.exported(), knowing_heads());
  ASSERT_THAT(handles, IsOk());
  const auto transfer = pull(handles->at(1));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_EQ(transfer->wait().assumed, "order=NHD,heads=2");
  const auto verdict = reader_.manager->compatibility(handles->at(1), to);
  ASSERT_THAT(verdict, IsOk());
  EXPECT_EQ(verdict->verdict, layout::Verdict::kNeedsReordering);
  EXPECT_EQ(verdict->assumed, "order=NHD,heads=2");
  EXPECT_TRUE(verdict->summary().ends_with(" (assumed order=NHD,heads=2)")) << verdict->summary();
  EXPECT_EQ(reader_.manager->compatibility(mine_, to)->assumed, "") << "all was told";
  const auto wrong = testing::pattern_check(other->view(), other->region_bases(),
                                            testing::pattern_blocks(1), kSeed);
  ASSERT_THAT(wrong, IsOk());
  EXPECT_TRUE(wrong->empty());
}

TEST_F(Import, WhatWasAssumedIsPartOfARefusal) {
  ImportOptions options = knowing_heads();
  options.assume.heads = {0, 2, 4};
  const auto handles = reader_.manager->import_metadata(owner_.exported(), options);
  ASSERT_THAT(handles, IsOk());
  EXPECT_THAT(pulls(handles->at(1), kSeed),
              FailsWith(ErrorCode::kIncompatible, "(assumed order=NHD,heads=2,heads=0 to 2 of 4)"));
}

TEST_F(Import, AssumptionsThatContradictTheMessageAreRefused) {
  ImportOptions wrong_order = knowing_heads();
  wrong_order.assume.order = layout::kHnd;
  refused(owner_.exported(), ErrorCode::kInvalidArgument, "assumed order HND", wrong_order);
  refused(owner_.exported(), ErrorCode::kInvalidArgument, "num_heads", knowing_heads(3));
  refused(owner_.exported(), ErrorCode::kInvalidArgument, "num_heads", knowing_heads(0));
}

TEST_F(Import, BlocksDoNotGoFromOnePeerToAnother) {
  ASSERT_THAT(reader_.manager->import_metadata(owner_.exported(), knowing_heads()), IsOk());
  EXPECT_THAT(
      reader_.manager->execute_transfer(theirs_[1], block_ids({0}), theirs_[0], block_ids({0})),
      FailsWith(ErrorCode::kInvalidArgument, "is a peer's, and so is a source"));
}

TEST_F(Import, NeedsTheOwnerOnlyWithinTheDeadline) {
  const auto message = owner_.exported();
  owner_.manager.reset();
  owner_.agent.reset();
  ImportOptions soon = knowing_heads();
  soon.deadline = 200ms;
  const TimePoint begin = std::chrono::steady_clock::now();
  EXPECT_THAT(reader_.manager->import_metadata(message, soon),
              FailsWith(ErrorCode::kUnavailable, ""));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_THAT(reader_.manager->peers(), IsEmpty());
}

}  // namespace
}  // namespace kvferry::manager
