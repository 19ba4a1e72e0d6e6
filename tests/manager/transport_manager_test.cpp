// SPDX-License-Identifier: Apache-2.0
// Goal: handles name one layout for the life of a manager; what is taken away is gone, what was
//       told is what is there; a forked child is turned away.
// Method: one manager, with and without an agent; ids used up with tiny layouts; exported messages
//         read back with the wire's own reader.
#include "kvferry/manager/transport_manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "workers.hpp"

namespace kvferry::manager {
namespace {

using namespace std::chrono_literals;
using layout::Arrangement;
using ::testing::ElementsAre;
using testing::FailsWith;
using testing::GuardedCache;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::local_manager;
using testing::register_cache;
using testing::standard_config;
using testing::tiny_config;
using testing::Worker;

TEST(TransportManager, NeedsACopyThread) {
  EXPECT_THAT(TransportManager::create({.copy_threads = 0}),
              FailsWith(ErrorCode::kInvalidArgument, "copy_threads"));
}

TEST(TransportManager, WorksWithoutAnAgentAndSaysWhatItCannotDoThen) {
  const auto manager = local_manager();
  EXPECT_EQ(manager->worker_id(), WorkerId{7});
  EXPECT_THAT(manager->export_metadata(), FailsWith(ErrorCode::kUnavailable, "no agent"));
  EXPECT_THAT(manager->import_metadata(wire::SerializedLayout::from_bytes({})),
              FailsWith(ErrorCode::kUnavailable, "no agent"));
  EXPECT_THAT(manager->forget_peer(WorkerId{8}, 1s), FailsWith(ErrorCode::kStale, "worker 8"));
  EXPECT_THAT(manager->peers(), IsEmpty());
  EXPECT_EQ(manager->transfers_in_flight(), 0U);
}

TEST(TransportManager, NamesLayoutsInOrderAndNeverAgain) {
  const auto manager = local_manager();
  const GuardedCache cache{tiny_config(1), Arrangement::kFullyContiguous, 1};
  const LayoutHandle zero = register_cache(*manager, cache);
  const LayoutHandle one = register_cache(*manager, cache);
  EXPECT_EQ(zero, (LayoutHandle{WorkerId{7}, LayoutId{0}}));
  EXPECT_EQ(one, (LayoutHandle{WorkerId{7}, LayoutId{1}}));
  ASSERT_THAT(manager->unregister_layout(one, 1s), IsOk());
  EXPECT_EQ(register_cache(*manager, cache), (LayoutHandle{WorkerId{7}, LayoutId{2}}));
  EXPECT_EQ(manager->local_handles(), (std::vector{zero, LayoutHandle{WorkerId{7}, LayoutId{2}}}));
}

TEST(TransportManager, Registers65536LayoutsInItsLifeThenIsBusyAndReplacesNone) {
  const auto manager = local_manager();
  const GuardedCache first{tiny_config(2), Arrangement::kFullyContiguous, 1};
  const GuardedCache other{tiny_config(2), Arrangement::kFullyContiguous, 2};
  std::set<LayoutHandle> handles{register_cache(*manager, first)};
  for (int i = 1; i < 65'536; ++i) {
    const auto handle = manager->register_layout(other.physical());
    ASSERT_THAT(handle, IsOk());
    ASSERT_TRUE(handles.insert(*handle).second) << to_string(*handle) << " was given twice";
  }
  EXPECT_EQ(handles.rbegin()->layout_id(), LayoutId{65'535});
  EXPECT_THAT(manager->register_layout(other.physical()),
              FailsWith(ErrorCode::kBusy, "65536 layout ids"));
  ASSERT_THAT(manager->unregister_layout(*handles.rbegin(), 1s), IsOk());
  EXPECT_THAT(manager->register_layout(other.physical()), FailsWith(ErrorCode::kBusy, ""))
      << "ids are not used again";
  EXPECT_EQ(manager->local_handles().size(), 65'535U);
  // Layout 0 is still the first one.
  const auto transfer = manager->execute_transfer(*std::next(handles.begin()), block_ids({1}),
                                                  *handles.begin(), block_ids({0}));
  ASSERT_THAT(transfer, IsOk());
  ASSERT_TRUE(transfer->wait().ok());
  EXPECT_TRUE(first.holds_block(BlockId{0}, other, BlockId{1}));
}

TEST(TransportManager, RefusesNoLayout) {
  EXPECT_THAT(local_manager()->register_layout(nullptr),
              FailsWith(ErrorCode::kInvalidArgument, "null"));
}

TEST(TransportManager, UnregistersWhatIsThereOnce) {
  const auto manager = local_manager();
  const GuardedCache cache{tiny_config(1), Arrangement::kFullyContiguous, 1};
  const LayoutHandle handle = register_cache(*manager, cache);
  EXPECT_THAT(manager->unregister_layout({WorkerId{7}, LayoutId{5}}, 1s),
              FailsWith(ErrorCode::kStale, "layout=5"));
  EXPECT_THAT(manager->unregister_layout({WorkerId{8}, LayoutId{0}}, 1s),
              FailsWith(ErrorCode::kStale, "worker=8"));
  EXPECT_THAT(manager->unregister_layout(handle, 0s), IsOk());
  EXPECT_THAT(manager->unregister_layout(handle, 0s), FailsWith(ErrorCode::kStale, ""));
  EXPECT_THAT(manager->local_handles(), IsEmpty());
}

TEST(TransportManager, LetsGoOfMemoryThatIsUnregistered) {
  const auto manager = local_manager();
  auto cache = std::make_unique<GuardedCache>(tiny_config(4), Arrangement::kFullyContiguous, 1);
  const std::weak_ptr<const GuardedCache::Bytes> storage{cache->storage()};
  const LayoutHandle handle = register_cache(*manager, *cache);
  ASSERT_THAT(manager->execute_transfer(handle, block_ids({0}), handle, block_ids({1})), IsOk());
  cache.reset();
  EXPECT_FALSE(storage.expired());
  ASSERT_THAT(manager->unregister_layout(handle, 1s), IsOk());
  EXPECT_TRUE(storage.expired()) << "a lane or a transfer that ended keeps it";
}

class Exports : public ::testing::Test {
 protected:
  testing::TemporaryDirectory directory_;
  Worker worker_{directory_, 7, "prefill-7"};
};

TEST_F(Exports, SaysExactlyWhatIsRegistered) {
  layout::LayoutConfig config = standard_config(5);
  config.alignment = 512;
  const auto fc = testing::shared_layout(config, Arrangement::kFullyContiguous, 1);
  const auto ls = testing::shared_layout(config, Arrangement::kLayerSeparateBlockSecond, 1);
  ASSERT_THAT(worker_.manager->register_layout(fc, {.access = Access::kRead}), IsOk());
  ASSERT_THAT(worker_.manager->register_layout(fc, {.access = Access::kNone}), IsOk());
  ASSERT_THAT(worker_.manager->register_layout(ls, {.access = Access::kReadWrite}), IsOk());

  const auto said = worker_.exported().unpack();
  ASSERT_THAT(said, IsOk());
  EXPECT_EQ(said->worker_address, (wire::WorkerAddress{WorkerId{7}, "prefill-7"}));
  EXPECT_EQ(said->nixl_metadata, *worker_.agent->local_metadata());
  wire::LayoutDescriptor expected;
  expected.layout_config = config;
  expected.layout_config.num_heads.reset();
  expected.location = StorageKind::system();
  expected.nixl_metadata = {"prefill-7", wire::MemType::kDram, 0};
  expected.memory_descriptors = {
      {reinterpret_cast<std::uintptr_t>(fc->region_bases()[0]), 5U * 16'384}};
  expected.layout_type_details = wire::FullyContiguousDetails{};
  ASSERT_EQ(said->layouts.size(), 2U) << "access none is told to nobody";
  EXPECT_EQ(said->layouts[0], (wire::LocalLayoutDescriptor{{WorkerId{7}, LayoutId{0}}, expected}));
  expected.memory_descriptors = {
      {reinterpret_cast<std::uintptr_t>(ls->region_bases()[0]), 5U * 8192},
      {reinterpret_cast<std::uintptr_t>(ls->region_bases()[1]), 5U * 8192}};
  expected.layout_type_details =
      wire::LayerSeparateDetails{layout::BlockDimension::kBlockIsSecondDim};
  EXPECT_EQ(said->layouts[1], (wire::LocalLayoutDescriptor{{WorkerId{7}, LayoutId{2}}, expected}));
}

TEST_F(Exports, AscendsByLayoutIdWithoutWhatWasTakenBack) {
  const auto layout = testing::shared_layout(tiny_config(1), Arrangement::kFullyContiguous, 1);
  for (int i = 0; i < 300; ++i) {
    ASSERT_THAT(worker_.manager->register_layout(layout), IsOk());
  }
  for (const LayoutId id : {LayoutId{0}, LayoutId{7}, LayoutId{255}, LayoutId{256}}) {
    ASSERT_THAT(worker_.manager->unregister_layout({WorkerId{7}, id}, 1s), IsOk());
  }
  const auto said = worker_.exported().unpack();
  ASSERT_THAT(said, IsOk());
  ASSERT_EQ(said->layouts.size(), 296U);
  std::vector<LayoutHandle> handles;
  for (const auto& descriptor : said->layouts) {
    handles.push_back(descriptor.handle);
  }
  EXPECT_EQ(handles, worker_.manager->local_handles());
  EXPECT_TRUE(std::is_sorted(handles.begin(), handles.end()));
}

TEST_F(Exports, IsFineWithNothingRegistered) {
  const auto said = worker_.exported().unpack();
  ASSERT_THAT(said, IsOk());
  EXPECT_TRUE(said->layouts.empty());
  EXPECT_FALSE(said->nixl_metadata.empty());
}

TEST_F(Exports, RegistrationThatTheAgentRefusesTellsTheCauseAndUsesNoId) {
  const GuardedCache cache{tiny_config(1), Arrangement::kFullyContiguous, 1};
  // Adopted memory cannot be made writable for peers.
  const auto refused =
      worker_.manager->register_layout(cache.physical(), {.access = Access::kReadWrite});
  EXPECT_THAT(refused, FailsWith(ErrorCode::kRefused, "register layout with agent prefill-7: "));
  EXPECT_THAT(worker_.manager->local_handles(), IsEmpty());
  EXPECT_EQ(register_cache(*worker_.manager, cache, Access::kRead).layout_id(), LayoutId{0});
}

/// Runs `check` in a forked child and gives back whether it held there.
bool holds_in_child(const std::function<bool()>& check) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(check() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(Exports, ForkedChildIsRefusedAndLeavesTheParentAsItIs) {
  TransportManager& manager = *worker_.manager;
  const auto layout = testing::shared_layout(tiny_config(4), Arrangement::kFullyContiguous, 1);
  const LayoutHandle handle = *manager.register_layout(layout);
  const auto message = worker_.exported();
  const auto refused = [](const auto& result) {
    return !result.has_value() && result.error().code == ErrorCode::kRefused;
  };
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.register_layout(layout)); }));
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.unregister_layout(handle, 1s)); }));
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.export_metadata()); }));
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.import_metadata(message)); }));
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.forget_peer(WorkerId{9}, 1s)); }));
  EXPECT_TRUE(holds_in_child([&] { return refused(manager.compatibility(handle, handle)); }));
  EXPECT_TRUE(holds_in_child([&] {
    return refused(manager.execute_transfer(handle, block_ids({0}), handle, block_ids({1})));
  }));
  EXPECT_TRUE(holds_in_child([&] { return manager.local_handles().empty(); }));
  EXPECT_TRUE(holds_in_child([&] {
    worker_.manager.reset();  // Must neither wait for threads nor touch the parent's agent.
    return true;
  }));
  const auto transfer = manager.execute_transfer(handle, block_ids({0}), handle, block_ids({1}));
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
}

TEST(TransportManager, TransferOutlivesTheManagerAndItsLayouts) {
  auto manager = local_manager();
  auto cache = std::make_unique<GuardedCache>(tiny_config(4), Arrangement::kFullyContiguous, 1);
  const std::weak_ptr<const GuardedCache::Bytes> storage{cache->storage()};
  const LayoutHandle handle = register_cache(*manager, *cache);
  auto transfer = manager->execute_transfer(handle, block_ids({0}), handle, block_ids({1}));
  cache.reset();
  manager.reset();
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
  EXPECT_TRUE(transfer->quiet());
  EXPECT_FALSE(storage.expired());
  transfer = Error{};
  EXPECT_TRUE(storage.expired());
}

}  // namespace
}  // namespace kvferry::manager
