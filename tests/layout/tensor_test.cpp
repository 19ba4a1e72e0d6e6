// SPDX-License-Identifier: Apache-2.0
// Goal: a tensor's numbers are where its shape and strides say, whatever they are; what is no
//       tensor is refused naming the axis.
// Method: random strides with gaps from printed seeds against a sum of index times stride; tensors
//         of an engine written out; each refusal by its message.
#include "kvferry/layout/tensor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>

#include "kvferry/layout/compatibility.hpp"

namespace kvferry::layout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

Place place(const std::array<std::uint64_t, kAxisCount>& at) {
  Place place;
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    place[static_cast<Axis>(i)] = at[i];
  }
  return place;
}

/// One tensor of random extents, its axes in a random order with random gaps.
struct RandomTensor {
  TensorLayout layout;
  std::array<std::int64_t, kAxisCount> extents{};
  std::array<std::int64_t, kAxisCount> strides{};
  std::int64_t end{0};  ///< elements up to the last one's end
};

RandomTensor random_tensor(std::uint64_t seed) {
  std::mt19937_64 engine{seed};
  const auto between = [&engine](std::int64_t first, std::int64_t last) {
    return first +
           static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(last - first + 1));
  };
  RandomTensor made;
  made.layout.element_bytes = std::uint64_t{1} << static_cast<std::uint64_t>(between(0, 3));
  made.layout.offset_elements = between(0, 9);
  std::array<Axis, kAxisCount> order{Axis::kBlock, Axis::kLayer, Axis::kOuter,
                                     Axis::kToken, Axis::kHead,  Axis::kElement};
  std::shuffle(order.begin(), order.end() - 1, engine);
  made.end = made.layout.offset_elements + 1;
  std::int64_t stride{1};
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    const auto slot = static_cast<std::size_t>(*axis);
    made.extents[slot] = between(1, 3);
    made.strides[slot] = stride + (*axis == Axis::kElement ? 0 : between(0, 5));
    made.layout.dims.push_back({*axis, made.extents[slot], made.strides[slot]});
    made.end += (made.extents[slot] - 1) * made.strides[slot];
    stride = made.strides[slot] * made.extents[slot];
  }
  std::shuffle(made.layout.dims.begin(), made.layout.dims.end(), engine);
  return made;
}

TEST(TensorView, FindsEveryElementOfAnyStrides) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RandomTensor tensor = random_tensor(seed);
    const std::uint64_t bytes = tensor.layout.element_bytes;
    const std::uint64_t needed = static_cast<std::uint64_t>(tensor.end) * bytes;
    const auto view = tensor_view(tensor.layout, {Region{4096, needed}});
    ASSERT_TRUE(view.has_value()) << view.error().message;
    std::array<std::uint64_t, kAxisCount> at{};
    for (bool more = true; more;) {
      std::uint64_t index = static_cast<std::uint64_t>(tensor.layout.offset_elements);
      for (std::size_t i = 0; i < kAxisCount; ++i) {
        index += at[i] * static_cast<std::uint64_t>(tensor.strides[i]);
      }
      ASSERT_EQ(view->locate(place(at)), (Location{0, index * bytes}));
      std::size_t i = 0;
      while (i < kAxisCount && ++at[i] == static_cast<std::uint64_t>(tensor.extents[i])) {
        at[i++] = 0;
      }
      more = i < kAxisCount;
    }
    EXPECT_FALSE(tensor_view(tensor.layout, {Region{4096, needed - 1}}).has_value());
  }
}

/// K and V of 3 layers in tensors of their own: 4 blocks of 2 tokens, 2 heads of 8 elements.
TensorLayout small() {
  return {.dims = {{Axis::kBlock, 4, 32},
                   {Axis::kToken, 2, 16},
                   {Axis::kHead, 2, 8},
                   {Axis::kElement, 8, 1}},
          .lists = {{Axis::kLayer, 3}, {Axis::kOuter, 2}}};
}

std::vector<Region> small_regions() {
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < 6; ++i) {
    regions.push_back(Region{(i + 1) << 20U, 4 * 32 * 2});
  }
  return regions;
}

TEST(TensorView, FindsTensorsInTheOrderOfTheLists) {
  const LayoutView pairs = tensor_view(small(), small_regions()).value();
  EXPECT_EQ(pairs.locate(place({0, 2, 1, 0, 0, 0})), (Location{5, 0}));
  EXPECT_EQ(pairs.locate(place({0, 1, 0, 0, 0, 0})), (Location{2, 0}));
  TensorLayout tensors = small();
  std::swap(tensors.lists[0], tensors.lists[1]);
  const LayoutView halves = tensor_view(tensors, small_regions()).value();
  EXPECT_EQ(halves.locate(place({0, 2, 1, 0, 0, 0})), (Location{5, 0}));
  EXPECT_EQ(halves.locate(place({0, 1, 0, 0, 0, 0})), (Location{1, 0}));
}

TEST(TensorView, KnowsItsPartOfTheModel) {
  TensorLayout tensors = small();
  tensors.layers = {5, 3, 10};
  tensors.heads = {2, 2, 8};
  const LayoutView view = tensor_view(tensors, small_regions()).value();
  EXPECT_EQ(view.axis(Axis::kLayer), (AxisSpan{3, 0, 5, 10, 2}));
  EXPECT_EQ(view.axis(Axis::kHead), (AxisSpan{2, 16, 2, 8}));
  EXPECT_EQ(view.page_size(), 2U);
  EXPECT_EQ(view.inner_dim(), 16U);
}

TEST(TensorView, DescribesGroupsInsideOneAllocation) {
  // Two groups of layers share an allocation: in each block 2 layers of the first, then 1 of the
  // second, and 8 elements of padding.
  const std::int64_t layer = 2 * 2 * 16;
  const std::int64_t block = 3 * layer + 8;
  const auto group = [&](std::int64_t layers, std::int64_t offset) {
    return tensor_view({.dims = {{Axis::kBlock, 4, block},
                                 {Axis::kLayer, layers, layer},
                                 {Axis::kOuter, 2, 32},
                                 {Axis::kToken, 2, 16},
                                 {Axis::kHead, 2, 8},
                                 {Axis::kElement, 8, 1}},
                        .offset_elements = offset},
                       {Region{4096, static_cast<std::uint64_t>(4 * block * 2)}});
  };
  const LayoutView second = group(1, 2 * layer).value();
  EXPECT_EQ(second.locate(place({3, 0, 1, 1, 1, 7})),
            (Location{0, static_cast<std::uint64_t>(3 * block + 2 * layer + 32 + 16 + 8 + 7) * 2}));
  EXPECT_EQ(group(2, 0).value().locate(place({3, 1, 0, 0, 0, 0})),
            (Location{0, static_cast<std::uint64_t>(3 * block + layer) * 2}));
}

TEST(TensorView, DescribesScalesBesideTheirData) {
  // Rows of 8 numbers of a byte with their scale of 4 bytes behind them, in one allocation of 3
  // blocks, K and V, 4 tokens, 2 heads: (3, 2, 4, 2, 8 + 4) bytes.
  const std::uint64_t bytes = 3 * 2 * 4 * 2 * 12;
  const LayoutView data = tensor_view({.dims = {{Axis::kBlock, 3, 192},
                                                {Axis::kOuter, 2, 96},
                                                {Axis::kToken, 4, 24},
                                                {Axis::kHead, 2, 12},
                                                {Axis::kElement, 8, 1}},
                                       .element_bytes = 1},
                                      {Region{4096, bytes}})
                              .value();
  const LayoutView scales = tensor_view({.dims = {{Axis::kBlock, 3, 48},
                                                  {Axis::kOuter, 2, 24},
                                                  {Axis::kToken, 4, 6},
                                                  {Axis::kHead, 2, 3}},
                                         .element_bytes = 4,
                                         .offset_elements = 2},
                                        {Region{4096, bytes}})
                                .value();
  for (std::uint64_t row = 0; row < 3 * 2 * 4 * 2; ++row) {
    const Place at = place({row / 16, 0, row / 8 % 2, row / 2 % 4, row % 2, 0});
    EXPECT_EQ(data.locate(at).offset_bytes, row * 12);
    EXPECT_EQ(scales.locate(at).offset_bytes, row * 12 + 8);
  }
  EXPECT_EQ(scales.axis(Axis::kElement).extent, 1U);
  EXPECT_EQ(compatible(data, scales).verdict, Verdict::kImpossible);
}

TEST(TensorView, TakesAnyStrideOfADimWithOnePlace) {
  TensorLayout tensors = small();
  tensors.dims[3] = {Axis::kElement, 1, 77};
  tensors.dims[2] = {Axis::kHead, 1, 0};
  EXPECT_TRUE(tensor_view(tensors, small_regions()).has_value());
}

std::string refusal(const TensorLayout& tensors) {
  const auto view = tensor_view(tensors, small_regions());
  EXPECT_FALSE(view.has_value());
  EXPECT_TRUE(view || view.error().code == ErrorCode::kInvalidArgument);
  return view ? "accepted" : view.error().message;
}

TEST(TensorView, RefusesDimsThatAreNone) {
  const auto with = [](std::size_t index, const TensorDim& dim) {
    TensorLayout tensors = small();
    tensors.dims[index] = dim;
    return refusal(tensors);
  };
  EXPECT_EQ(with(0, {Axis::kBlock, 0, 32}), "block axis: extent 0 is not at least 1");
  EXPECT_EQ(with(1, {Axis::kToken, -2, 16}), "token axis: extent -2 is not at least 1");
  EXPECT_EQ(with(2, {Axis::kHead, 2, -8}), "head axis: stride -8 is negative");
  EXPECT_EQ(with(2, {Axis::kToken, 2, 8}), "token axis: it is named twice");
  EXPECT_EQ(with(2, {Axis::kLayer, 2, 8}), "layer axis: it is named twice");
  EXPECT_THAT(with(2, {Axis::kHead, 2, 4}), StartsWith("head axis: stride 8 is less than the 16"));
  EXPECT_THAT(with(0, {Axis::kBlock, 4, 0}), StartsWith("block axis: stride 0 is less"))
      << "an expanded dim";
  EXPECT_THAT(with(3, {Axis::kElement, 8, 2}), StartsWith("element axis: stride 4 is not"));
  EXPECT_THAT(with(0, {Axis::kBlock, 5, 32}), StartsWith("region 0: the axes span 320 bytes"));
  EXPECT_THAT(with(0, {Axis::kBlock, kLargest, 32}),
              HasSubstr("block axis: extent 92233720368547"));
  EXPECT_THAT(with(0, {Axis::kBlock, 4, kLargest}), HasSubstr("does not fit into 64 bits"));
  EXPECT_THAT(with(3, {Axis::kElement, kLargest, 1}), HasSubstr("axis: "));
}

TEST(TensorView, RefusesWhatIsNoTensor) {
  const auto with = [](const auto& change) {
    TensorLayout tensors = small();
    change(tensors);
    return refusal(tensors);
  };
  EXPECT_EQ(with([](auto& t) { t.element_bytes = 0; }), "element_bytes: 0 is not 1, 2, 4 or 8");
  EXPECT_EQ(with([](auto& t) { t.offset_elements = -1; }), "offset_elements: -1 is negative");
  EXPECT_THAT(with([](auto& t) { t.offset_elements = 1; }), StartsWith("region 0: the axes span"));
  EXPECT_EQ(with([](auto& t) {
              t.element_bytes = 8;
              t.offset_elements = kLargest;
            }),
            "offset_elements: 9223372036854775807 x 8 does not fit into 64 bits");
  EXPECT_EQ(with([](auto& t) {
              t.element_bytes = 8;
              t.dims[0].stride_elements = kLargest;
            }),
            "block axis: stride 9223372036854775807 x 8 does not fit into 64 bits");
  EXPECT_EQ(with([](auto& t) {
              t.layers = {0, 2, 8};
            }),
            "layer axis: the part has 2, the tensors 3");
  EXPECT_EQ(with([](auto& t) { t.heads = {0, 4, 8}; }), "head axis: the part has 4, the tensors 2");
  EXPECT_THAT(with([](auto& t) { t.heads = {7, 2, 8}; }), StartsWith("head axis: origin 7"));
  EXPECT_EQ(with([](auto& t) { t.lists[0].extent = 40'000; }),
            "layer axis: 40000 x 2 tensors are more than 65536");
  EXPECT_EQ(with([](auto& t) { t.lists[0].extent = 0; }), "layer axis: extent 0 is not at least 1");
  EXPECT_THAT(with([](auto& t) { t.lists.pop_back(); }), StartsWith("needs 3 regions, has 6"));
  EXPECT_THAT(with([](auto& t) { t.page_size = 2; }),
              StartsWith("page_size: 2 where tokens are told apart"));
}

/// 4 blocks of 2 tokens of 16 elements, in a packing.
TensorLayout opaque() {
  TensorLayout tensors = small();
  tensors.dims = {{Axis::kBlock, 4, 32}, {Axis::kElement, 32, 1}};
  tensors.packing = "in-house";
  tensors.page_size = 2;
  return tensors;
}

TEST(TensorView, TakesOpaquePieces) {
  const LayoutView view = tensor_view(opaque(), small_regions()).value();
  EXPECT_EQ(view.packing(), "in-house");
  EXPECT_EQ(view.page_size(), 2U);
  EXPECT_EQ(view.inner_dim(), 16U);
  EXPECT_EQ(view.locate(place({3, 2, 1, 0, 0, 0})), (Location{5, 192}));
}

TEST(TensorView, RefusesOpaquePiecesThatTellTooMuch) {
  const auto with = [](const auto& change) {
    TensorLayout tensors = opaque();
    change(tensors);
    return refusal(tensors);
  };
  EXPECT_EQ(with([](auto& t) {
              t.dims.push_back({Axis::kHead, 1, 8});
            }),
            "head axis: packing in-house is opaque and has none");
  EXPECT_EQ(with([](auto& t) {
              t.dims.push_back({Axis::kToken, 1, 8});
            }),
            "token axis: packing in-house is opaque and has none");
  EXPECT_THAT(with([](auto& t) {
                t.heads = {0, 1, 2};
              }),
              StartsWith("head axis: an opaque piece cannot say"));
  EXPECT_EQ(with([](auto& t) { t.page_size = 0; }),
            "page_size: 32 elements are not whole tokens of 0");
  EXPECT_EQ(with([](auto& t) { t.page_size = 3; }),
            "page_size: 32 elements are not whole tokens of 3");
}

TEST(ContiguousDims, LieOneAfterTheOther) {
  const std::array axes{AxisExtent{Axis::kOuter, 2}, AxisExtent{Axis::kBlock, 5},
                        AxisExtent{Axis::kElement, 7}};
  const std::vector<TensorDim> dims = contiguous_dims(axes).value();
  ASSERT_EQ(dims.size(), 3U);
  EXPECT_EQ(dims[0].axis, Axis::kOuter);
  EXPECT_EQ(dims[0].stride_elements, 35);
  EXPECT_EQ(dims[1].stride_elements, 7);
  EXPECT_EQ(dims[1].extent, 5);
  EXPECT_EQ(dims[2].stride_elements, 1);
}

TEST(ContiguousDims, RefusesWhatDoesNotFit) {
  const auto why = [](std::uint64_t outer, std::uint64_t inner) {
    const std::array axes{AxisExtent{Axis::kBlock, outer}, AxisExtent{Axis::kElement, inner}};
    return contiguous_dims(axes).error().message;
  };
  EXPECT_EQ(why(0, 4), "block axis: extent 0 is not at least 1");
  EXPECT_EQ(why(4, std::uint64_t{1} << 63U),
            "element axis: extent 9223372036854775808 x stride 1 is more than 9223372036854775807");
  EXPECT_THAT(why(std::uint64_t{1} << 62U, 4),
              StartsWith("block axis: extent 4611686018427387904"));
  EXPECT_THAT(why(std::uint64_t{1} << 62U, 2), StartsWith("block axis"));
}

/// 3 blocks of states of 100 bytes, 128 apart, of 2 layers of 7.
StateLayout states() {
  return {.name = "mamba2",
          .num_blocks = 3,
          .state_bytes = 100,
          .block_stride_bytes = 128,
          .layers = {4, 2, 7}};
}

TEST(StateView, HasOnePieceForEachBlockAndLayer) {
  const LayoutView view = state_view(states(), {Region{4096, 356}, Region{8192, 356}}).value();
  EXPECT_EQ(view.packing(), "state:mamba2");
  EXPECT_EQ(view.axis(Axis::kElement).extent, 100U);
  EXPECT_EQ(view.axis(Axis::kLayer), (AxisSpan{2, 0, 4, 7, 1}));
  EXPECT_EQ(view.locate(place({2, 1, 0, 0, 0, 0})), (Location{1, 256}));
  EXPECT_FALSE(state_view(states(), {Region{4096, 356}, Region{8192, 355}}).has_value());
}

TEST(StateView, GoesOnlyToStatesOfTheSameNameAndSize) {
  const std::vector<Region> regions{Region{4096, 1000}, Region{8192, 1000}};
  const LayoutView view = state_view(states(), regions).value();
  StateLayout other = states();
  other.block_stride_bytes = 200;
  EXPECT_EQ(compatible(view, state_view(other, regions).value()).verdict, Verdict::kCopyable);
  other.name = "mamba1";
  EXPECT_EQ(compatible(view, state_view(other, regions).value()).verdict, Verdict::kImpossible);
  other = states();
  other.state_bytes = 96;
  EXPECT_EQ(compatible(view, state_view(other, regions).value()).verdict, Verdict::kImpossible);
}

TEST(StateView, RefusesWhatIsNoState) {
  const auto why = [](const auto& change) {
    StateLayout made = states();
    change(made);
    return state_view(made, {Region{4096, 356}, Region{8192, 356}}).error().message;
  };
  EXPECT_THAT(why([](auto& s) { s.name.clear(); }), StartsWith("name: empty"));
  EXPECT_EQ(why([](auto& s) { s.num_blocks = 0; }), "block axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](auto& s) { s.state_bytes = 0; }), "element axis: extent 0 is not at least 1");
  EXPECT_THAT(why([](auto& s) { s.block_stride_bytes = 99; }),
              StartsWith("block axis: stride 99 is less than the 100"));
  EXPECT_THAT(why([](auto& s) { s.layers = {0, 3, 7}; }), StartsWith("needs 3 regions, has 2"));
}

}  // namespace
}  // namespace kvferry::layout
