// SPDX-License-Identifier: Apache-2.0
// Goal: an engine's own memory, with padding and inside one big allocation, is told to a peer and
//       read from there as it lies; what has no padding is told in every format.
// Method: two workers in one process; views of tensors in shared and in private memory, checked
// with
//         the pattern by a reader that has another layout.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kvferry/memory/memory.hpp"
#include "kvferry/wire/envelope.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using layout::LayoutView;
using layout::PackedLayout;
using layout::Steps;
using testing::FailsWith;
using testing::IsOk;
using testing::Worker;
using transfer::PhysicalLayout;

constexpr std::uint64_t kBlocks = 6;
constexpr std::uint64_t kSeed = 3;
const layout::LayoutConfig kConfig{.num_blocks = kBlocks,
                                   .num_layers = 2,
                                   .outer_dim = 2,
                                   .page_size = 16,
                                   .inner_dim = 64,
                                   .num_heads = 4};

std::uint64_t address_of(const memory::MemoryPtr& memory) {
  return reinterpret_cast<std::uintptr_t>(memory->bytes().data());
}

/// Tokens with room between them, HND, from `offset` on in one region that `memory` is.
LayoutView padded(const memory::MemoryPtr& memory, std::uint64_t offset) {
  LayoutView::Parts parts =
      strided_layout(kConfig, Steps{.stride_bytes = {32'768, 16'384, 4'096, 48, 1'024}});
  parts.offset_bytes = offset;
  parts.regions = {{address_of(memory), memory->bytes().size()}};
  auto view = LayoutView::create(std::move(parts));
  EXPECT_THAT(view, IsOk());
  return *std::move(view);
}

class StridedLayout : public ::testing::Test {
 protected:
  LayoutHandle register_filled(const LayoutView& view, const memory::MemoryPtr& memory,
                               std::uint64_t seed) {
    const auto physical = PhysicalLayout::over(view, {memory});
    EXPECT_THAT(physical, IsOk());
    EXPECT_THAT(testing::pattern_fill(view, (*physical)->region_bases(),
                                      testing::pattern_blocks(kBlocks), seed),
                IsOk());
    const auto handle = owner_.manager->register_layout(*physical);
    EXPECT_THAT(handle, IsOk());
    return *handle;
  }

  /// Pulls blocks 5 and 1 of `remote`, and compares them with the pattern of `seed`.
  void expect_pulled(LayoutHandle remote, std::uint64_t seed) {
    const auto own = PhysicalLayout::packed({.config = kConfig, .order = layout::kUniversalPp})
                         .allocate_system()
                         .build();
    ASSERT_THAT(own, IsOk());
    const auto mine = reader_.manager->register_layout(*own, {.access = Access::kNone});
    const auto transfer =
        reader_.manager->execute_transfer(remote, block_ids({5, 1}), *mine, block_ids({0, 3}));
    ASSERT_THAT(transfer, IsOk());
    const auto report = transfer->wait();
    ASSERT_TRUE(report.ok()) << report.error->message;
    const std::vector<testing::PatternBlock> blocks{{BlockId{0}, BlockId{5}},
                                                    {BlockId{3}, BlockId{1}}};
    const auto wrong = pattern_check((*own)->view(), (*own)->region_bases(), blocks, seed);
    ASSERT_THAT(wrong, IsOk());
    EXPECT_TRUE(wrong->empty());
  }

  testing::TemporaryDirectory directory_;
  Worker owner_{directory_, 7, "engine-7"};
  Worker reader_{directory_, 8, "decode-8"};
};

TEST_F(StridedLayout, TwoInOneAllocationAreReadAsTheyLie) {
  const auto memory = *memory::allocate_system(kBlocks * 32'768 + 8'192);
  register_filled(padded(memory, 0), memory, kSeed);
  register_filled(padded(memory, 8'192), memory, kSeed + 1);  // In the room that the first leaves.
  EXPECT_THAT(owner_.manager->export_metadata(wire::MessageFormat::kB),
              FailsWith(ErrorCode::kIncompatible, "format B cannot tell strides"));
  const auto message = owner_.manager->export_envelope();
  ASSERT_THAT(message, IsOk());
  const auto remote = reader_.manager->import_metadata(*message);
  ASSERT_THAT(remote, IsOk());
  expect_pulled((*remote)[0], kSeed);
  expect_pulled((*remote)[1], kSeed + 1);
}

TEST_F(StridedLayout, AnEnginesPrivateMemoryIsReadThroughTheKernel) {
  auto storage = std::make_shared<std::vector<std::byte>>(kBlocks * 32'768);
  const auto memory = *memory::adopt(*storage, storage);
  register_filled(padded(memory, 64), memory, kSeed);
  const auto remote = reader_.manager->import_metadata(*owner_.manager->export_envelope());
  ASSERT_THAT(remote, IsOk());
  expect_pulled(remote->front(), kSeed);
}

TEST_F(StridedLayout, WithoutPaddingIsToldInEveryFormat) {
  const auto memory = *memory::allocate_system(kConfig.required_bytes());
  const PackedLayout packed{.config = kConfig, .order = layout::kHnd};
  const LayoutView view = *packed_view(packed, {{address_of(memory), memory->bytes().size()}});
  register_filled(view, memory, kSeed);
  const auto remote =
      reader_.manager->import_metadata(*owner_.manager->export_metadata(wire::MessageFormat::kB));
  ASSERT_THAT(remote, IsOk());
  expect_pulled(remote->front(), kSeed);
}

TEST_F(StridedLayout, BlocksOfTwoGroupsAreNotTheSame) {
  const auto layout = [] {
    return *PhysicalLayout::packed({.config = kConfig, .order = layout::kNhd})
                .allocate_system()
                .build();
  };
  for (const char* group : {"full", "window"}) {
    ASSERT_THAT(owner_.manager->register_layout(layout(), {.meaning = {.group = group}}), IsOk());
  }
  EXPECT_THAT(owner_.manager->register_layout(layout(), {.meaning = {.group = "a\n"}}),
              FailsWith(ErrorCode::kInvalidArgument, "group: "));
  const auto remote = reader_.manager->import_metadata(*owner_.manager->export_envelope());
  ASSERT_THAT(remote, IsOk());
  EXPECT_EQ(reader_.manager->meaning((*remote)[1])->group, "window");
  const auto mine = reader_.manager->register_layout(
      layout(), {.access = Access::kNone, .meaning = {.group = "window"}});
  const auto pull = [&](std::size_t from) {
    return reader_.manager->execute_transfer((*remote)[from], block_ids({0}), *mine,
                                             block_ids({1}));
  };
  EXPECT_THAT(pull(0), FailsWith(ErrorCode::kIncompatible, "group \"full\" against \"window\""));
  const auto verdict = reader_.manager->compatibility((*remote)[0], *mine);
  ASSERT_THAT(verdict, IsOk());
  EXPECT_EQ(verdict->verdict, layout::Verdict::kImpossible);
  EXPECT_EQ(verdict->reasons.front().field, "group");
  const auto transfer = pull(1);
  ASSERT_THAT(transfer, IsOk());
  EXPECT_TRUE(transfer->wait().ok());
}

/// Two models of one shape, as a base and what was tuned from it: only their names differ.
TEST_F(StridedLayout, BlocksOfTwoModelsAreNotTheSame) {
  const auto add = [](Worker& worker, const std::string& model) {
    auto layout = *PhysicalLayout::packed({.config = kConfig, .order = layout::kNhd})
                       .allocate_system()
                       .build();
    return *worker.manager->register_layout(std::move(layout), {.meaning = {.model = model}});
  };
  for (const char* model : {"base@1", "base@2", ""}) {
    add(owner_, model);
  }
  const auto remote = reader_.manager->import_metadata(*owner_.manager->export_envelope());
  ASSERT_THAT(remote, IsOk());
  EXPECT_EQ(reader_.manager->meaning((*remote)[1])->model, "base@2");
  const LayoutHandle mine = add(reader_, "base@2");
  const LayoutHandle any = add(reader_, "");
  const auto pull = [&](std::size_t from, LayoutHandle into) -> Result<void> {
    KVFERRY_ASSIGN_OR_RETURN(
        const auto transfer,
        reader_.manager->execute_transfer((*remote)[from], block_ids({0}), into, block_ids({1})));
    return transfer.wait().ok() ? Result<void>{} : Error{ErrorCode::kCorrupt, "not moved"};
  };
  EXPECT_THAT(pull(0, mine),
              FailsWith(ErrorCode::kIncompatible, "model \"base@1\" against \"base@2\""));
  EXPECT_EQ(reader_.manager->compatibility((*remote)[0], mine)->verdict,
            layout::Verdict::kImpossible);
  EXPECT_THAT(pull(1, mine), IsOk());
  EXPECT_THAT(pull(2, mine), IsOk()) << "nothing is told of it";
  EXPECT_THAT(pull(0, any), IsOk());
  const std::vector<LayoutHandle> two{(*remote)[0], (*remote)[1]};
  EXPECT_THAT(reader_.manager->execute_transfer(two, block_ids({0}), any, block_ids({1})),
              FailsWith(ErrorCode::kIncompatible,
                        "source 1: model \"base@2\" against \"base@1\" of source 0: "))
      << "one block of two models";
  const std::vector<LayoutHandle> unlike{(*remote)[2], (*remote)[0]};
  EXPECT_THAT(
      reader_.manager->execute_transfer(unlike, block_ids({0}), mine, block_ids({1})),
      FailsWith(ErrorCode::kIncompatible, "source 1: model \"base@1\" against \"base@2\": "));
}

/// As an engine lends a range of its blocks, or a stage some of its layers.
TEST_F(StridedLayout, OfASliceIsToldAndReadAsAnyOther) {
  const std::uint64_t layer_bytes = kConfig.required_bytes() / 2;
  const auto memory = *memory::allocate_system(2 * layer_bytes);
  const PackedLayout packed{.config = kConfig,
                            .arrangement = layout::Arrangement::kLayerSeparateBlockFirst,
                            .order = layout::kNhd};
  const LayoutView whole = *packed_view(
      packed, {{address_of(memory), layer_bytes}, {address_of(memory) + layer_bytes, layer_bytes}});
  const auto all = *PhysicalLayout::over(whole, {memory});
  ASSERT_THAT(testing::pattern_fill(all->view(), all->region_bases(),
                                    testing::pattern_blocks(kBlocks), kSeed),
              IsOk());
  const LayoutView lent =
      *whole.slice(layout::Axis::kLayer, 1, 1)->slice(layout::Axis::kBlock, 2, 3);
  const auto physical = PhysicalLayout::over(lent, {memory});
  ASSERT_THAT(physical, IsOk());
  EXPECT_EQ((*physical)->regions().size(), 1U);
  ASSERT_THAT(owner_.manager->register_layout(*physical), IsOk());
  const auto remote = reader_.manager->import_metadata(*owner_.manager->export_envelope());
  ASSERT_THAT(remote, IsOk());
  PackedLayout one{.config = kConfig, .order = layout::kHnd, .layers = {1, 1, 2}};
  one.config.num_layers = 1;
  const auto own = *PhysicalLayout::packed(one).allocate_system().build();
  const auto mine = *reader_.manager->register_layout(own, {.access = Access::kNone});
  const auto transfer =
      reader_.manager->execute_transfer(remote->front(), block_ids({1}), mine, block_ids({5}));
  ASSERT_THAT(transfer, IsOk());
  ASSERT_TRUE(transfer->wait().ok());
  const std::vector<testing::PatternBlock> blocks{{BlockId{5}, BlockId{3}}};
  EXPECT_TRUE(pattern_check(own->view(), own->region_bases(), blocks, kSeed)->empty());
  EXPECT_THAT(
      reader_.manager->execute_transfer(remote->front(), block_ids({3}), mine, block_ids({5})),
      FailsWith(ErrorCode::kInvalidArgument, "3"));
  EXPECT_THAT(PhysicalLayout::over(*whole.slice(layout::Axis::kOuter, 1, 1), {memory}),
              FailsWith(ErrorCode::kInvalidArgument, "outer axis: 1 from 1 of 2"));
}

TEST_F(StridedLayout, IsRefusedAtOnceWhenNoMessageCouldTellIt) {
  const auto memory = *memory::allocate_system(kConfig.required_bytes());
  layout::LayoutConfig opaque = kConfig;
  opaque.num_heads.reset();
  LayoutView::Parts parts =
      strided_layout(opaque, Steps{.stride_bytes = {8'192, 4'096, 2'048, 0, 0}});
  parts.regions = {{address_of(memory), memory->bytes().size()}};
  parts.packing = std::string(65, 'x');
  const auto physical = *PhysicalLayout::over(*LayoutView::create(parts), {memory});
  EXPECT_THAT(owner_.manager->register_layout(physical),
              FailsWith(ErrorCode::kInvalidArgument, "layouts[0].packing: "));
  EXPECT_THAT(owner_.manager->export_envelope(), IsOk());
  EXPECT_THAT(owner_.manager->register_layout(physical, {.access = Access::kNone}), IsOk())
      << "nobody is told of it";
  EXPECT_THAT(testing::local_manager()->register_layout(physical), IsOk()) << "there are no peers";
}

TEST_F(StridedLayout, TextsOfItsMeaningAreBoundedWhoeverIsTold) {
  const auto layout = *PhysicalLayout::packed({.config = kConfig}).allocate_system().build();
  const auto manager = testing::local_manager();
  const auto add = [&](const Meaning& meaning, Access access) {
    return manager->register_layout(layout, {.access = access, .meaning = meaning});
  };
  for (const Access access : {Access::kNone, Access::kReadWrite}) {
    EXPECT_THAT(add({std::string(256, 'm'), std::string(64, 'g')}, access), IsOk());
    EXPECT_THAT(add({.model = std::string(257, 'm')}, access),
                FailsWith(ErrorCode::kInvalidArgument, "model: length 257, limit 256"));
    EXPECT_THAT(add({.group = std::string(65, 'g')}, access),
                FailsWith(ErrorCode::kInvalidArgument, "group: length 65, limit 64"));
    EXPECT_THAT(add({.model = "a\n"}, access),
                FailsWith(ErrorCode::kInvalidArgument, "holds a control character"));
  }
}

/// What every importer refuses would cost the worker its whole message.
TEST_F(StridedLayout, IsRefusedAtOnceWhenNoPeerCouldReadIt) {
  const auto of = [](std::uint64_t outer_dim, std::uint64_t width) {
    layout::LayoutConfig config = kConfig;
    config.outer_dim = outer_dim;
    config.dtype_width_bytes = width;
    const auto memory = *memory::allocate_system(config.required_bytes());
    const std::uint64_t piece = 16 * 64 * width;
    LayoutView::Parts parts =
        strided_layout(config, Steps{.stride_bytes = {2 * outer_dim * piece, outer_dim * piece,
                                                      piece, 64 * width, 16 * width}});
    parts.regions = {{address_of(memory), memory->bytes().size()}};
    return *PhysicalLayout::over(*LayoutView::create(parts), {memory});
  };
  const auto refused = [this](const transfer::PhysicalLayoutPtr& layout, const char* message) {
    EXPECT_THAT(owner_.manager->register_layout(layout),
                FailsWith(ErrorCode::kInvalidArgument, message));
    EXPECT_THAT(owner_.manager->register_layout(layout, {.access = Access::kNone}), IsOk())
        << "nobody is told of it";
  };
  refused(of(3, 2), "layouts[0].layout.layout_config.outer_dim: 3");
  refused(of(2, 16), "layouts[0].layout.layout_config.dtype_width_bytes: 16");
  const auto beside = PhysicalLayout::with_planes(of(2, 2), {{"odd", of(2, 16)}});
  ASSERT_THAT(beside, IsOk());
  refused(*beside, "layouts[1].layout.layout_config.dtype_width_bytes: 16");
  ASSERT_THAT(owner_.manager->register_layout(of(2, 2)), IsOk());
  EXPECT_THAT(reader_.manager->import_metadata(*owner_.manager->export_envelope()), IsOk());
}

/// Blocks cost a peer nothing to say, and a reader nothing to hear.
TEST_F(StridedLayout, OfMoreBlocksThanThereCanBeIsRefusedByItsMemory) {
  auto said = *wire::decode_envelope(*owner_.manager->export_envelope());
  wire::EnvelopeLayout layout;
  layout.access = Access::kRead;
  PackedLayout packed{.config = kConfig, .order = layout::kNhd};
  packed.config.num_blocks = std::uint64_t{1} << 48U;
  layout.description = packed;
  layout.regions = {{4096, packed.config.required_bytes()}};
  said.layouts.push_back(layout);
  ++said.generation;
  EXPECT_THAT(reader_.manager->import_metadata(*wire::encode_envelope(said)),
              FailsWith(ErrorCode::kInvalidArgument, "not inside memory that the peer registered"));
}

TEST_F(StridedLayout, LiesInItsMemory) {
  const auto memory = *memory::allocate_system(kBlocks * 32'768);
  const auto other = *memory::allocate_system(4096);
  EXPECT_THAT(PhysicalLayout::over(padded(memory, 0), {other}),
              FailsWith(ErrorCode::kInvalidArgument, "region 0: 196608 bytes at "));
  EXPECT_THAT(PhysicalLayout::over(padded(memory, 0), {other, memory}), IsOk());
}

}  // namespace
}  // namespace kvferry::manager
