// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a gather asks of a source, that source is one part of the transfer, with one hold
// on
//       its blocks; layouts that share bytes are seen, planes among them.
// Method: owners that count what they are asked; layouts over one adopted memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lease_workers.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::LendingEngine;
using ::testing::UnorderedElementsAreArray;
using transfer::PhysicalLayout;
using transfer::PhysicalLayoutPtr;

constexpr std::uint64_t kBlocks = 8;

layout::PackedLayout layers(std::uint64_t first, std::uint64_t count) {
  return {.config = {.num_blocks = kBlocks,
                     .num_layers = count,
                     .outer_dim = 2,
                     .page_size = 16,
                     .inner_dim = 64,
                     .num_heads = 2},
          .order = layout::kNhd,
          .layers = {first, count, 6}};
}

PhysicalLayoutPtr allocated(const layout::PackedLayout& packed) {
  return *PhysicalLayout::packed(packed).allocate_system().build();
}

/// A worker that lends its blocks.
struct Lender {
  Lender(const testing::TemporaryDirectory& directory, std::uint64_t id,
         const layout::PackedLayout& packed)
      : agent{testing::Worker::make_agent(directory, "lender-" + std::to_string(id), {})},
        manager{testing::make_manager(
            {.worker_id = WorkerId{id}, .agent = agent, .leases = engine.hooks()})} {
    EXPECT_THAT(manager->register_layout(allocated(packed)), IsOk());
  }

  LendingEngine engine;
  std::shared_ptr<agent::Agent> agent;
  std::unique_ptr<TransportManager> manager;
};

TEST(PlanOfParts, ASourceOfSeveralPiecesIsAskedOnceForAllItsBlocks) {
  const testing::TemporaryDirectory directory;
  // The first gives layers 0 and 1 of all blocks, 2 and 3 of half of them, 4 and 5 of all.
  Lender whole{directory, 1, layers(0, 6)};
  Lender middle{directory, 2, layers(2, 2)};
  const testing::Worker reader{directory, 9, "reader"};
  const auto own = *reader.manager->register_layout(allocated(layers(0, 6)));
  std::vector<LayoutHandle> sources;
  for (const Lender* lender : {&whole, &middle}) {
    const auto handles = reader.manager->import_metadata(*lender->manager->export_envelope());
    ASSERT_THAT(handles, IsOk());
    sources.push_back(handles->front());
  }
  const auto transfer = reader.manager->execute_transfer(
      sources, block_ids({7, 0, 3, 5}), own, block_ids({1, 2, 6, 0}),
      {.deadline = std::chrono::seconds{10}, .hold_source = true});
  ASSERT_THAT(transfer, IsOk());
  ASSERT_TRUE(transfer->wait().ok());
  ASSERT_EQ(whole.engine.asked().size(), 1U);
  ASSERT_EQ(middle.engine.asked().size(), 1U);
  EXPECT_THAT(whole.engine.asked()[0].blocks, UnorderedElementsAreArray(block_ids({7, 0, 3, 5})));
  EXPECT_EQ(middle.engine.asked()[0].blocks.size(), 2U);
}

TEST(PlanOfParts, PlanesThatShareBytesAreSeen) {
  const layout::PackedLayout data = layers(0, 6);
  layout::PackedLayout numbers = data;
  numbers.config.inner_dim = 2;
  const std::uint64_t data_bytes = kBlocks * data.config.block_bytes();
  const std::uint64_t number_bytes = kBlocks * numbers.config.block_bytes();
  auto bytes = std::make_shared<std::vector<std::byte>>(2 * (data_bytes + number_bytes));
  std::uint64_t at{0};
  const auto next = [&](const layout::PackedLayout& packed, std::uint64_t size) {
    const std::span<std::byte> range{bytes->data() + at, size};
    at += size;
    return *PhysicalLayout::packed(packed).adopt({range}, bytes).build();
  };
  const auto first = next(data, data_bytes);
  const auto scales = next(numbers, number_bytes);
  const auto second = next(data, data_bytes);
  const auto others = next(numbers, number_bytes);
  const auto manager = testing::local_manager();
  const auto handle = [&](const PhysicalLayoutPtr& of_data, const PhysicalLayoutPtr& plane) {
    return *manager->register_layout(*PhysicalLayout::with_planes(of_data, {{"scales", plane}}));
  };
  const auto a = handle(first, scales);
  EXPECT_THAT(manager->execute_transfer(a, block_ids({1}), handle(second, scales), block_ids({2})),
              FailsWith(ErrorCode::kInvalidArgument, "two layouts over the same memory"));
  EXPECT_THAT(manager->execute_transfer(handle(second, scales), block_ids({1}), a, block_ids({2})),
              FailsWith(ErrorCode::kInvalidArgument, "two layouts over the same memory"));
  EXPECT_THAT(manager->execute_transfer(a, block_ids({1}), handle(second, others), block_ids({2})),
              IsOk());
  EXPECT_THAT(manager->execute_transfer(a, block_ids({1}), a, block_ids({1})),
              FailsWith(ErrorCode::kInvalidArgument, "both source and destination"));
}

}  // namespace
}  // namespace kvferry::manager
