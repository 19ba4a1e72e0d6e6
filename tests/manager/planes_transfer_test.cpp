// SPDX-License-Identifier: Apache-2.0
// Goal: the planes of a layout move with its blocks, whatever the two sides' orders, ranks and
//       pages; a block is good only when data and planes are; nobody gets the one without the
//       other.
// Method: workers in one process with agents of shared memory; data and each plane are checked with
//         a pattern of their own, and once byte by byte with strides written out here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvferry/memory/memory.hpp"
#include "workers.hpp"

namespace kvferry::manager {
namespace {

using layout::BlockAxes;
using layout::PackedLayout;
using layout::Rank;
using testing::FailsWith;
using testing::IsOk;
using testing::Worker;
using transfer::PhysicalLayout;
using transfer::PhysicalLayoutPtr;

constexpr std::uint64_t kHeads = 4;
constexpr std::uint64_t kBlocks = 64;
constexpr std::uint64_t kSeed = 11;

/// A rank's part of a cache of bytes, 64 for each of 4 heads, of 6 layers.
PackedLayout bytes_of(const Rank& tp, const BlockAxes& order, std::uint64_t page) {
  PackedLayout packed;
  packed.heads = *layout::heads_of(tp, kHeads);
  packed.order = order;
  packed.config = {.num_blocks = kBlocks * 16 / page,
                   .num_layers = 6,
                   .outer_dim = 2,
                   .page_size = page,
                   .inner_dim = packed.heads.extent * 64,
                   .dtype_width_bytes = 1,
                   .num_heads = packed.heads.extent};
  return packed;
}

/// A number of 4 bytes for each head and token, or for each token only.
PackedLayout scales_of(PackedLayout data, bool of_heads, const BlockAxes& order) {
  data.config.dtype_width_bytes = 4;
  data.order = order;
  if (!of_heads) {
    data.heads = {};
    data.config.num_heads = 1;
  }
  data.config.inner_dim = *data.config.num_heads;
  return data;
}

PhysicalLayoutPtr allocated(const PackedLayout& packed) {
  auto made = PhysicalLayout::packed(packed).allocate_system().build();
  EXPECT_THAT(made, IsOk());
  return *made;
}

PhysicalLayoutPtr quantized(const Rank& tp, const BlockAxes& order, std::uint64_t page,
                            const BlockAxes& order_of_scales = layout::kNhd) {
  const PackedLayout data = bytes_of(tp, order, page);
  auto made = PhysicalLayout::with_planes(
      allocated(data), {{"scales", allocated(scales_of(data, true, order_of_scales))},
                        {"sums", allocated(scales_of(data, false, layout::kNhd)), true}});
  EXPECT_THAT(made, IsOk());
  return *made;
}

using Bases = std::span<std::byte* const>;

/// Calls `take` with the view of the data and of each plane by itself, where their regions begin,
/// and a seed for it.
template <class Take>
void each_view(const PhysicalLayout& layout, const Take& take) {
  std::uint64_t seed{kSeed};
  take(layout.view(), layout.region_bases().first(layout.view().regions().size()), seed);
  for (const transfer::NamedLayout& plane : layout.plane_layouts()) {
    take(plane.layout->view(), plane.layout->region_bases(), ++seed);
  }
}

void fill(const PhysicalLayoutPtr& layout) {
  each_view(*layout, [](const layout::LayoutView& view, Bases bases, std::uint64_t seed) {
    EXPECT_THAT(pattern_fill(view, bases,
                             testing::pattern_blocks(view.axis(layout::Axis::kBlock).extent), seed),
                IsOk());
  });
}

/// In how many of data and planes the 16 tokens of block `mine` from `token` on are those of block
/// `theirs` of the model.
std::size_t views_right(const PhysicalLayout& layout, BlockId mine, BlockId theirs,
                        std::uint64_t token = 0) {
  std::size_t right{0};
  each_view(layout, [&](const layout::LayoutView& whole, Bases bases, std::uint64_t seed) {
    const layout::LayoutView view = *whole.slice(layout::Axis::kToken, token, 16);
    const std::vector<testing::PatternBlock> blocks{{mine, theirs}};
    const auto wrong = pattern_check(view, bases, blocks, seed);
    EXPECT_THAT(wrong, IsOk());
    right += wrong->empty() ? 1 : 0;
  });
  return right;
}

class PlanesTransfer : public ::testing::Test {
 protected:
  LayoutHandle add_owner(const PhysicalLayoutPtr& layout) {
    fill(layout);
    const std::uint64_t id = owners_.size() + 1;
    owners_.push_back(std::make_unique<Worker>(directory_, id, "rank-" + std::to_string(id)));
    const auto handle =
        owners_.back()->manager->register_layout(layout, {.access = Access::kReadWrite});
    EXPECT_THAT(handle, IsOk());
    return *handle;
  }
  void start_reader(const PhysicalLayoutPtr& layout, std::optional<testing::Fault> fault = {}) {
    reader_ = std::make_unique<Worker>(directory_, 99, "reader", fault);
    own_ = layout;
    mine_ = *reader_->manager->register_layout(own_, {.access = Access::kNone});
    for (const auto& owner : owners_) {
      const auto handles = reader_->manager->import_metadata(*owner->manager->export_envelope());
      ASSERT_THAT(handles, IsOk());
      theirs_.insert(theirs_.end(), handles->begin(), handles->end());
    }
  }
  [[nodiscard]] Result<transfer::Transfer> pull(
      const std::vector<BlockId>& from, const std::vector<BlockId>& to,
      const transfer::TransferOptions& options = {}) const {
    return reader_->manager->execute_transfer(theirs_, from, mine_, to, options);
  }

  testing::TemporaryDirectory directory_;
  std::vector<std::unique_ptr<Worker>> owners_;
  std::unique_ptr<Worker> reader_;
  PhysicalLayoutPtr own_;
  LayoutHandle mine_;
  std::vector<LayoutHandle> theirs_;
};

std::uint64_t bytes_of_block(const PhysicalLayout& layout) {
  std::uint64_t bytes = layout.config().block_bytes();
  for (const transfer::NamedLayout& plane : layout.plane_layouts()) {
    bytes += plane.layout->config().block_bytes();
  }
  return bytes;
}

TEST_F(PlanesTransfer, MoveWithTheirBlocksInOneTransfer) {
  add_owner(quantized({}, layout::kNhd, 16));
  start_reader(quantized({}, layout::kHnd, 16, layout::kHnd));
  const auto transfer = pull(block_ids({7, 0, 3}), block_ids({1, 2, 6}));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.ok()) << report.error->message;
  EXPECT_EQ(views_right(*own_, BlockId{1}, BlockId{7}), 3U);
  EXPECT_EQ(views_right(*own_, BlockId{2}, BlockId{0}), 3U);
  EXPECT_EQ(views_right(*own_, BlockId{6}, BlockId{3}), 3U);
  EXPECT_EQ(report.bytes_moved, 3 * bytes_of_block(*own_));
  EXPECT_EQ(report.plan.bytes_moved, report.bytes_moved);
  EXPECT_EQ(report.plan.block_pairs, 3U);
  EXPECT_EQ(report.route, "shm read");
}

TEST_F(PlanesTransfer, ComeFromRanksAndPagesOfOtherSizes) {
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    add_owner(quantized({rank, 3}, layout::kUniversalTp, 16, layout::kHnd));
  }
  start_reader(quantized({}, layout::kHnd, 32));
  const auto transfer = pull(block_ids({7, 2, 0, 1}), block_ids({3, 1}));
  ASSERT_THAT(transfer, IsOk());
  const auto report = transfer->wait();
  ASSERT_TRUE(report.ok()) << report.error->message;
  EXPECT_EQ(report.bytes_moved, 2 * bytes_of_block(*own_)) << "what all ranks hold moves once";
  EXPECT_EQ(views_right(*own_, BlockId{3}, BlockId{7}, 0), 3U);
  EXPECT_EQ(views_right(*own_, BlockId{3}, BlockId{2}, 16), 3U);
  EXPECT_EQ(views_right(*own_, BlockId{1}, BlockId{0}, 0), 3U);
  EXPECT_EQ(views_right(*own_, BlockId{1}, BlockId{1}, 16), 3U);
}

TEST_F(PlanesTransfer, InsideOneProcessAndLayerByLayer) {
  const auto from = quantized({}, layout::kNhd, 16);
  const auto to = quantized({}, layout::kHnd, 16);
  fill(from);
  const auto manager = testing::local_manager();
  const auto source = *manager->register_layout(from);
  const auto destination = *manager->register_layout(to);
  std::uint64_t bytes{0};
  for (std::uint64_t layer = 0; layer < 6; ++layer) {
    EXPECT_EQ(views_right(*to, BlockId{5}, BlockId{2}), 0U);
    const auto transfer = manager->execute_transfer(source, block_ids({2}), destination,
                                                    block_ids({5}), {.layers = {layer, layer + 1}});
    ASSERT_THAT(transfer, IsOk());
    bytes += transfer->wait().bytes_moved;
  }
  EXPECT_EQ(views_right(*to, BlockId{5}, BlockId{2}), 3U);
  EXPECT_EQ(bytes, bytes_of_block(*to));
}

TEST_F(PlanesTransfer, GoToFilesOfTheirOwnAndComeBackVerified) {
  const auto manager = testing::make_manager({.worker_id = WorkerId{7}});
  const auto source = quantized({}, layout::kNhd, 16);
  fill(source);
  const PackedLayout data = bytes_of({}, layout::kHnd, 16);
  const auto on_disk = [this](const PackedLayout& packed, const std::string& name) {
    auto made =
        PhysicalLayout::packed(packed).allocate_disk({directory_.path() + "/" + name}).build();
    EXPECT_THAT(made, IsOk());
    return *made;
  };
  const auto file = on_disk(data, "data");
  const auto tier = PhysicalLayout::with_planes(
      file, {{"scales", on_disk(scales_of(data, true, layout::kNhd), "scales")},
             {"sums", on_disk(scales_of(data, false, layout::kNhd), "sums"), true}});
  ASSERT_THAT(tier, IsOk());
  EXPECT_THAT(PhysicalLayout::with_planes(file, {{"again", file}}),
              FailsWith(ErrorCode::kInvalidArgument, "plane \"again\": its file holds the data"));
  const auto back = quantized({}, layout::kHnd, 16);
  const LayoutHandle from = *manager->register_layout(source);
  const LayoutHandle disk = *manager->register_layout(*tier, {.access = Access::kNone});
  const LayoutHandle to = *manager->register_layout(back);
  const std::vector<BlockId> all = testing::ids_from(0, kBlocks);
  for (const auto& [one, other] : {std::pair{from, disk}, std::pair{disk, to}}) {
    const auto moved =
        manager->execute_transfer(one, all, other, all, {.verify = transfer::Verify::kChecksum});
    ASSERT_THAT(moved, IsOk());
    const transfer::TransferReport report = moved->wait();
    EXPECT_TRUE(report.ok()) << report.error->message;
  }
  for (const BlockId block : all) {
    EXPECT_EQ(views_right(*back, block, block), 3U);
  }
}

TEST_F(PlanesTransfer, ArePushed) {
  const auto theirs = quantized({}, layout::kHnd, 16);
  add_owner(theirs);
  start_reader(quantized({}, layout::kNhd, 16));
  fill(own_);
  const auto transfer =
      reader_->manager->execute_transfer(mine_, block_ids({4}), theirs_[0], block_ids({6}));
  ASSERT_THAT(transfer, IsOk());
  ASSERT_TRUE(transfer->wait().ok());
  EXPECT_EQ(views_right(*theirs, BlockId{6}, BlockId{4}), 3U);
  EXPECT_EQ(views_right(*theirs, BlockId{5}, BlockId{5}), 3U) << "another block";
}

TEST_F(PlanesTransfer, AGoodBlockIsGoodInAllOfThem) {
  add_owner(quantized({}, layout::kNhd, 16));
  const auto blocks = testing::ids_from(0, kBlocks / 2, 2);  // None next to another: one by one.
  std::uint64_t number{1};
  for (bool failed = true; failed; ++number) {
    theirs_.clear();
    start_reader(quantized({}, layout::kHnd, 16),
                 testing::Fault{testing::FaultKind::kFail, number});
    const auto transfer = pull(blocks, blocks);
    ASSERT_THAT(transfer, IsOk());
    const auto report = transfer->wait();
    failed = !report.ok();
    EXPECT_EQ(report.bytes_moved < report.plan.bytes_moved, failed) << number;
    EXPECT_EQ(report.bad_blocks.empty(), !failed) << number;
    for (const BlockId block : blocks) {
      const bool bad = std::ranges::binary_search(report.bad_blocks, block);
      EXPECT_TRUE(bad || views_right(*own_, block, block) == 3U) << number << ' ' << block.value();
    }
    EXPECT_GT(report.bytes_moved, 0U) << number;
  }
  EXPECT_GT(number, 20U) << "pieces of two planes and of the data";
}

TEST_F(PlanesTransfer, NobodyGetsDataWithoutThem) {
  const PackedLayout data = bytes_of({}, layout::kNhd, 16);
  add_owner(quantized({}, layout::kNhd, 16));
  start_reader(allocated(data));
  EXPECT_THAT(pull(block_ids({0}), block_ids({0})), FailsWith(ErrorCode::kIncompatible, "plane"));
  const auto verdict = reader_->manager->compatibility(theirs_[0], mine_);
  ASSERT_THAT(verdict, IsOk());
  EXPECT_EQ(verdict->verdict, layout::Verdict::kImpossible);
  EXPECT_NE(verdict->summary().find("\"scales\""), std::string::npos) << verdict->summary();
  EXPECT_THAT(reader_->manager->execute_transfer(mine_, block_ids({0}), theirs_[0], block_ids({0})),
              FailsWith(ErrorCode::kIncompatible, "plane"));
  for (const wire::MessageFormat format : {wire::MessageFormat::kA, wire::MessageFormat::kB}) {
    EXPECT_THAT(owners_[0]->manager->export_metadata(format),
                FailsWith(ErrorCode::kIncompatible, "cannot tell planes"));
  }
}

TEST_F(PlanesTransfer, OfAnotherWidthAreRefusedByName) {
  const PackedLayout data = bytes_of({}, layout::kNhd, 16);
  PackedLayout narrow = scales_of(data, true, layout::kNhd);
  narrow.config.dtype_width_bytes = 2;
  add_owner(*PhysicalLayout::with_planes(allocated(data), {{"scales", allocated(narrow)}}));
  start_reader(*PhysicalLayout::with_planes(
      allocated(data), {{"scales", allocated(scales_of(data, true, layout::kNhd))}}));
  EXPECT_THAT(pull(block_ids({0}), block_ids({0})),
              FailsWith(ErrorCode::kIncompatible, "plane \"scales\": "));
  const auto verdict = reader_->manager->compatibility(theirs_[0], mine_);
  ASSERT_THAT(verdict, IsOk());
  EXPECT_EQ(verdict->verdict, layout::Verdict::kImpossible);
  EXPECT_TRUE(verdict->summary().starts_with("plane \"scales\": ")) << verdict->summary();
}

TEST_F(PlanesTransfer, AVerdictIsTheWorstOfThem) {
  const PackedLayout data = bytes_of({}, layout::kNhd, 16);
  PackedLayout elsewhere = scales_of(data, true, layout::kNhd);
  elsewhere.arrangement = layout::Arrangement::kLayerSeparateBlockFirst;
  add_owner(*PhysicalLayout::with_planes(allocated(data), {{"scales", allocated(elsewhere)}}));
  start_reader(*PhysicalLayout::with_planes(
      allocated(data), {{"scales", allocated(scales_of(data, true, layout::kNhd))}}));
  EXPECT_EQ(reader_->manager->compatibility(theirs_[0], mine_)->verdict,
            layout::Verdict::kCopyable);
}

TEST_F(PlanesTransfer, AssumedLayersAreTheirLayersToo) {
  add_owner(quantized({}, layout::kNhd, 16));
  const auto stage_of = [](PackedLayout packed) {
    packed.layers = {6, 6, 12};
    return packed;
  };
  const PackedLayout data = stage_of(bytes_of({}, layout::kNhd, 16));
  start_reader(*PhysicalLayout::with_planes(
      allocated(data), {{"scales", allocated(scales_of(data, true, layout::kNhd))},
                        {"sums", allocated(scales_of(data, false, layout::kNhd))}}));
  EXPECT_THAT(pull(block_ids({0}), block_ids({0})), FailsWith(ErrorCode::kIncompatible, ""));
  ImportOptions options;
  options.replace = true;
  options.assume.layers = {6, 6, 12};
  const auto message = *owners_[0]->manager->export_envelope();
  theirs_ = *reader_->manager->import_metadata(message, options);
  const auto transfer = pull(block_ids({7}), block_ids({2}));
  ASSERT_THAT(transfer, IsOk());
  ASSERT_TRUE(transfer->wait().ok());
  // The owner counted its layers from 0 when it filled them: as many of them as there are here.
  EXPECT_EQ(transfer->wait().bytes_moved, bytes_of_block(*own_));
  options.assume.num_heads = 2;
  EXPECT_THAT(reader_->manager->import_metadata(message, options),
              FailsWith(ErrorCode::kInvalidArgument, "heads"));
}

TEST_F(PlanesTransfer, ChangedOnesMakeAnotherLayout) {
  const LayoutHandle old = add_owner(quantized({}, layout::kNhd, 16));
  start_reader(quantized({}, layout::kNhd, 16));
  const auto known = theirs_;
  Worker& owner = *owners_[0];
  const auto import_again = [&] {
    return reader_->manager->import_metadata(*owner.manager->export_envelope());
  };
  EXPECT_EQ(*import_again(), known);
  const auto changed = quantized({}, layout::kNhd, 16, layout::kHnd);
  fill(changed);
  ASSERT_THAT(owner.manager->change_layout(old, changed, std::chrono::seconds{5},
                                           {.access = Access::kReadWrite}),
              IsOk());
  theirs_ = *import_again();
  EXPECT_NE(theirs_, known);
  EXPECT_THAT(reader_->manager->execute_transfer(known, block_ids({1}), mine_, block_ids({2})),
              FailsWith(ErrorCode::kStale, "not registered"));
  ASSERT_TRUE(pull(block_ids({1}), block_ids({2}))->wait().ok());
  EXPECT_EQ(views_right(*own_, BlockId{2}, BlockId{1}), 3U);
}

/// Scales of 4 bytes behind each row of 64, as vLLM's quantized caches of one scale for each token
/// and head have them; the destination has them in memory of their own.
TEST_F(PlanesTransfer, BetweenTheBytesOfTheData) {
  const layout::LayoutConfig config = bytes_of({}, layout::kNhd, 16).config;
  constexpr std::uint64_t kRow = 68;
  const std::uint64_t rows = kBlocks * 6 * 2 * 16 * kHeads;
  const auto memory = memory::allocate_system(rows * kRow);
  ASSERT_THAT(memory, IsOk());
  for (std::uint64_t i = 0; i < rows * kRow; ++i) {
    (*memory)->bytes()[i] = static_cast<std::byte>(i * 131 >> 5);
  }
  const layout::Steps steps{
      .stride_bytes = {6 * 2 * 64 * kRow, 2 * 64 * kRow, 64 * kRow, 4 * kRow, kRow}};
  const auto part = [&](layout::LayoutConfig of, std::uint64_t offset) {
    layout::LayoutView::Parts parts = strided_layout(of, steps);
    parts.offset_bytes = offset;
    parts.regions = {{reinterpret_cast<std::uintptr_t>((*memory)->bytes().data()), rows * kRow}};
    return *PhysicalLayout::over(*layout::LayoutView::create(parts), {*memory});
  };
  const layout::LayoutConfig numbers =
      scales_of(bytes_of({}, layout::kNhd, 16), true, layout::kNhd).config;
  const auto theirs = PhysicalLayout::with_planes(part(config, 0), {{"scales", part(numbers, 64)}});
  ASSERT_THAT(theirs, IsOk());
  EXPECT_EQ((*theirs)->memories().size(), 1U);
  owners_.push_back(std::make_unique<Worker>(directory_, 1, "owner"));
  ASSERT_THAT(owners_[0]->manager->register_layout(*theirs), IsOk());
  const auto data = allocated(bytes_of({}, layout::kHnd, 16));
  const auto scales = allocated(scales_of(bytes_of({}, layout::kNhd, 16), true, layout::kNhd));
  start_reader(*PhysicalLayout::with_planes(data, {{"scales", scales}}));
  ASSERT_TRUE(pull(block_ids({5}), block_ids({2}))->wait().ok());
  const std::byte* const of_data = data->region_bases()[0];
  const std::byte* const of_scales = scales->region_bases()[0];
  for (std::uint64_t piece = 0; piece < 6 * 2; ++piece) {
    for (std::uint64_t token = 0; token < 16; ++token) {
      for (std::uint64_t head = 0; head < kHeads; ++head) {
        const std::byte* const row =
            (*memory)->bytes().data() + ((5 * 12 + piece) * 64 + token * 4 + head) * kRow;
        const std::uint64_t at = (((2 * 12 + piece) * kHeads + head) * 16 + token) * 64;
        ASSERT_TRUE(std::equal(row, row + 64, of_data + at))
            << piece << ' ' << token << ' ' << head;
        const std::uint64_t scale = (((2 * 12 + piece) * 16 + token) * kHeads + head) * 4;
        ASSERT_TRUE(std::equal(row + 64, row + 68, of_scales + scale));
      }
    }
  }
}

TEST(WithPlanes, RefusesWhatIsNoPlane) {
  const PackedLayout config = bytes_of({}, layout::kNhd, 16);
  const auto data = allocated(config);
  const auto scales = allocated(scales_of(config, true, layout::kNhd));
  const auto refuses = [](const auto& result, const char* what) {
    EXPECT_THAT(result, FailsWith(ErrorCode::kInvalidArgument, what));
  };
  refuses(PhysicalLayout::with_planes(nullptr, {{"scales", scales}}), "data: null");
  refuses(PhysicalLayout::with_planes(data, {{"scales", nullptr}}), "plane \"scales\": null");
  refuses(PhysicalLayout::with_planes(data, {{"scales", data}}), "lie between");
  const auto both = *PhysicalLayout::with_planes(data, {{"scales", scales}});
  refuses(PhysicalLayout::with_planes(both, {}), "planes already");
  refuses(PhysicalLayout::with_planes(data, {{"scales", both}}), "planes itself");
  const auto guarded = *PhysicalLayout::packed(scales_of(config, true, layout::kNhd))
                            .allocate_system()
                            .guarded()
                            .build();
  refuses(PhysicalLayout::with_planes(data, {{"scales", guarded}}), "guards");
  refuses(testing::local_manager()->register_layout(
              *PhysicalLayout::with_planes(data, {{std::string(65, 'x'), scales}})),
          "plane: length 65, limit 64");
  const PackedLayout half = bytes_of({1, 2}, layout::kNhd, 16);
  const auto of_tokens = allocated(scales_of(half, false, layout::kNhd));
  refuses(PhysicalLayout::with_planes(allocated(half), {{"sums", of_tokens}}),
          "plane \"sums\": head axis: it has all heads and the data has not");
  EXPECT_THAT(PhysicalLayout::with_planes(allocated(half), {{"sums", of_tokens, true}}), IsOk());
  PackedLayout own_scale = scales_of(half, false, layout::kNhd);
  own_scale.heads = {1, 1, 2};
  EXPECT_THAT(PhysicalLayout::with_planes(allocated(half), {{"sums", allocated(own_scale)}}),
              IsOk());
}

}  // namespace
}  // namespace kvferry::manager
