// SPDX-License-Identifier: Apache-2.0
// Goal: the views of engines' caches find every number where the engine's tensor has it, and what
//       no engine has is refused by name.
// Method: row-major index formulas of the tensors as their engines allocate them, written out for
//         each engine, at every place of random shapes from printed seeds.
#include "kvferry/layout/engines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kvferry/layout/compatibility.hpp"

namespace kvferry::layout::engines {
namespace {

using ::testing::StartsWith;

/// Sizes of a cache, named as in the formulas.
struct Sizes {
  std::uint64_t B, L, N, H, D, E;
};

struct At {
  std::uint64_t b, l, o, n, h;
};

/// A number of a tensor: which tensor, and its index in it.
struct Element {
  std::uint64_t tensor, index;
};

/// What an engine allocates, and where a head's first number is.
struct Expectation {
  std::uint64_t tensors, elements, outers;
  std::function<Element(const At&)> first;
};

Cache cache_of(const Sizes& s) {
  return {.num_blocks = s.B,
          .block_size = s.N,
          .head_size = s.D,
          .element_bytes = s.E,
          .layers = {1, s.L, s.L + 2},
          .heads = {2, s.H, s.H + 3}};
}

Cache latent_of(const Sizes& s) {
  Cache cache = cache_of(s);
  cache.heads = {0, 1, 1};
  return cache;
}

std::vector<Region> tensors_of(std::uint64_t count, std::uint64_t bytes) {
  std::vector<Region> regions;
  for (std::uint64_t i = 0; i < count; ++i) {
    regions.push_back(Region{(i + 1) << 32U, bytes});
  }
  return regions;
}

using Make = std::function<Result<LayoutView>(std::vector<Region>)>;

void expect_places(const Sizes& s, const LayoutView& view, const Expectation& expected) {
  ASSERT_EQ(view.axis(Axis::kHead).extent, s.H);
  ASSERT_EQ(view.axis(Axis::kOuter).extent, expected.outers);
  for (std::uint64_t i = 0; i < s.B * s.L * expected.outers * s.N * s.H * s.D; ++i) {
    std::uint64_t rest = i;
    const auto next = [&rest](std::uint64_t extent) {
      const std::uint64_t digit = rest % extent;
      rest /= extent;
      return digit;
    };
    Place place;
    const std::uint64_t d = place[Axis::kElement] = next(s.D);
    const At at{.b = place[Axis::kBlock] = next(s.B),
                .l = place[Axis::kLayer] = next(s.L),
                .o = place[Axis::kOuter] = next(expected.outers),
                .n = place[Axis::kToken] = next(s.N),
                .h = place[Axis::kHead] = next(s.H)};
    const Element element = expected.first(at);
    ASSERT_EQ(view.locate(place), (Location{element.tensor, (element.index + d) * s.E}))
        << "b " << at.b << " l " << at.l << " o " << at.o << " n " << at.n << " h " << at.h;
  }
}

void expect_view(const Sizes& s, const Make& make, const Expectation& expected) {
  const auto view = make(tensors_of(expected.tensors, expected.elements * s.E));
  ASSERT_TRUE(view.has_value()) << view.error().message;
  EXPECT_EQ(view->axis(Axis::kLayer).origin, 1U);
  EXPECT_EQ(view->axis(Axis::kLayer).whole, s.L + 2);
  expect_places(s, *view, expected);
  // It needs no byte less, and no tensor less or more.
  EXPECT_FALSE(make(tensors_of(expected.tensors, expected.elements * s.E - 1)).has_value());
  EXPECT_FALSE(make(tensors_of(expected.tensors + 1, expected.elements * s.E)).has_value());
}

template <class Test>
void for_random_sizes(const Test& test) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 engine{seed};
    const auto between = [&engine](std::uint64_t first, std::uint64_t last) {
      return first + engine() % (last - first + 1);
    };
    test(Sizes{between(1, 4), between(1, 3), between(1, 4), between(1, 4), between(1, 5),
               std::uint64_t{1} << between(0, 3)});
  }
}

TEST(VllmSplit, HasKOfAllBlocksBeforeVInNhd) {
  for_random_sizes([](const Sizes& s) {
    expect_view(s, [&s](auto regions) { return vllm_split(cache_of(s), {}, regions); },
                {s.L, 2 * s.B * s.N * s.H * s.D, 2, [&s](const At& a) {
                   return Element{a.l, (((a.o * s.B + a.b) * s.N + a.n) * s.H + a.h) * s.D};
                 }});
  });
}

TEST(VllmSplit, HasKOfAllBlocksBeforeVInHnd) {
  for_random_sizes([](const Sizes& s) {
    expect_view(s,
                [&s](auto regions) {
                  return vllm_split(cache_of(s), {.order = InnerShape::kHnd}, regions);
                },
                {s.L, 2 * s.B * s.N * s.H * s.D, 2, [&s](const At& a) {
                   return Element{a.l, (((a.o * s.B + a.b) * s.H + a.h) * s.N + a.n) * s.D};
                 }});
  });
}

TEST(VllmSplit, HasKAndVInEachBlockWhereBlocksComeFirst) {
  for_random_sizes([](const Sizes& s) {
    expect_view(
        s, [&s](auto regions) { return vllm_split(cache_of(s), {.outer_first = false}, regions); },
        {s.L, s.B * 2 * s.N * s.H * s.D, 2, [&s](const At& a) {
           return Element{a.l, (((a.b * 2 + a.o) * s.N + a.n) * s.H + a.h) * s.D};
         }});
    expect_view(s,
                [&s](auto regions) {
                  return vllm_split(cache_of(s), {.outer_first = false, .order = InnerShape::kHnd},
                                    regions);
                },
                {s.L, s.B * 2 * s.N * s.H * s.D, 2, [&s](const At& a) {
                   return Element{a.l, (((a.b * 2 + a.o) * s.H + a.h) * s.N + a.n) * s.D};
                 }});
  });
}

TEST(VllmSplit, HasAllLayersInOneTensorAcrossLayers) {
  for_random_sizes([](const Sizes& s) {
    for (const bool outer_first : {true, false}) {
      expect_view(
          s,
          [&](auto regions) {
            return vllm_split(cache_of(s), {outer_first, InnerShape::kNhd, true}, regions);
          },
          {1, s.B * s.L * 2 * s.N * s.H * s.D, 2, [&s](const At& a) {
             return Element{0, ((((a.b * s.L + a.l) * 2 + a.o) * s.N + a.n) * s.H + a.h) * s.D};
           }});
    }
    expect_view(
        s,
        [&s](auto regions) {
          return vllm_split(cache_of(s), {true, InnerShape::kHnd, true}, regions);
        },
        {1, s.B * s.H * s.L * 2 * s.N * s.D, 2, [&s](const At& a) {
           return Element{0, ((((a.b * s.H + a.h) * s.L + a.l) * 2 + a.o) * s.N + a.n) * s.D};
         }});
    expect_view(
        s,
        [&s](auto regions) {
          return vllm_split(cache_of(s), {false, InnerShape::kHnd, true}, regions);
        },
        {1, s.B * 2 * s.H * s.L * s.N * s.D, 2, [&s](const At& a) {
           return Element{0, ((((a.b * 2 + a.o) * s.H + a.h) * s.L + a.l) * s.N + a.n) * s.D};
         }});
  });
}

TEST(VllmPacked, HasKInFrontOfVInEveryRow) {
  for_random_sizes([](const Sizes& s) {
    const auto expect = [&s](std::string_view layout, std::uint64_t tensors, const auto& row) {
      expect_view(s, [&](auto regions) { return vllm_packed(cache_of(s), layout, regions); },
                  {tensors, s.L * s.B * s.H * s.N * 2 * s.D / tensors, 2, [&s, &row](const At& a) {
                     const Element at = row(a);
                     return Element{at.tensor, at.index * 2 * s.D + a.o * s.D};
                   }});
    };
    expect("LBHNC", s.L, [&s](const At& a) { return Element{a.l, (a.b * s.H + a.h) * s.N + a.n}; });
    expect("LBNHC", s.L, [&s](const At& a) { return Element{a.l, (a.b * s.N + a.n) * s.H + a.h}; });
    expect("LHBNC", s.L, [&s](const At& a) { return Element{a.l, (a.h * s.B + a.b) * s.N + a.n}; });
    expect("BLHNC", 1, [&s](const At& a) {
      return Element{0, ((a.b * s.L + a.l) * s.H + a.h) * s.N + a.n};
    });
    expect("BLNHC", 1, [&s](const At& a) {
      return Element{0, ((a.b * s.L + a.l) * s.N + a.n) * s.H + a.h};
    });
    expect("BHLNC", 1, [&s](const At& a) {
      return Element{0, ((a.b * s.H + a.h) * s.L + a.l) * s.N + a.n};
    });
  });
}

TEST(VllmMla, HasOneLatentForEachToken) {
  for_random_sizes([](Sizes s) {
    s.H = 1;
    expect_view(s, [&s](auto regions) { return vllm_mla(latent_of(s), regions); },
                {s.L, s.B * s.N * s.D, 1, [&s](const At& a) {
                   return Element{a.l, (a.b * s.N + a.n) * s.D};
                 }});
  });
}

TEST(SglangMha, HasSlotsOfKThenOfV) {
  for_random_sizes([](const Sizes& s) {
    const std::uint64_t size = (s.B - 1) * s.N;  // Beside the page that pads.
    expect_view(s, [&s](auto regions) { return sglang_mha(cache_of(s), regions); },
                {2 * s.L, (size + s.N) * s.H * s.D, 2, [&s](const At& a) {
                   const std::uint64_t slot = a.b * s.N + a.n;
                   return Element{a.o * s.L + a.l, (slot * s.H + a.h) * s.D};
                 }});
  });
}

TEST(SglangMha, LeavesSlotsThatAreNoWholePage) {
  const Sizes s{3, 2, 4, 2, 8, 2};
  const std::uint64_t slots = 8 + 4 + 3;
  EXPECT_TRUE(sglang_mha(cache_of(s), tensors_of(4, slots * 2 * 8 * 2)).has_value());
}

TEST(SglangMla, HasOneLatentForEachSlot) {
  for_random_sizes([](Sizes s) {
    s.H = 1;
    const std::uint64_t size = (s.B - 1) * s.N;
    expect_view(s, [&s](auto regions) { return sglang_mla(latent_of(s), regions); },
                {s.L, (size + s.N) * 1 * s.D, 1, [&s](const At& a) {
                   return Element{a.l, (a.b * s.N + a.n) * s.D};
                 }});
  });
}

TEST(VllmCpu, HasOpaquePiecesOfOneBlockAndOuter) {
  for_random_sizes([](const Sizes& s) {
    const std::uint64_t bytes = 2 * s.B * s.H * s.N * s.D * s.E;
    const LayoutView view =
        vllm_cpu(cache_of(s), {"amx", "0.11.2"}, tensors_of(s.L, bytes)).value();
    EXPECT_TRUE(view.is_opaque());
    EXPECT_EQ(view.page_size(), s.N);
    EXPECT_EQ(view.inner_dim(), s.H * s.D);
    EXPECT_EQ(view.axis(Axis::kElement).extent, s.H * s.N * s.D);
    for (std::uint64_t i = 0; i < s.L * 2 * s.B; ++i) {
      Place at;
      at[Axis::kBlock] = i % s.B;
      at[Axis::kOuter] = i / s.B % 2;
      at[Axis::kLayer] = i / s.B / 2;
      const std::uint64_t piece = at[Axis::kOuter] * s.B + at[Axis::kBlock];
      EXPECT_EQ(view.locate(at), (Location{at[Axis::kLayer], piece * s.H * s.N * s.D * s.E}));
    }
    EXPECT_FALSE(vllm_cpu(cache_of(s), {"amx", "0.11.2"}, tensors_of(s.L, bytes - 1)).has_value());
  });
}

Verdict verdict(const Cache& left, std::string_view left_isa, const Cache& right,
                std::string_view right_isa) {
  const auto view = [](const Cache& cache, std::string_view isa) {
    return vllm_cpu(cache, {isa, "0.11.2"}, tensors_of(cache.layers.extent, 1'000'000)).value();
  };
  return compatible(view(left, left_isa), view(right, right_isa)).verdict;
}

TEST(VllmCpu, GoesOnlyToTheSamePacking) {
  const Cache cache = cache_of({4, 2, 32, 2, 64, 2});
  EXPECT_EQ(verdict(cache, "vec16", cache, "vec16"), Verdict::kIdentical);
  EXPECT_EQ(verdict(cache, "vec16", cache, "amx"), Verdict::kImpossible);
  Cache other = cache;
  other.heads.origin = 0;  // Another rank: as many heads, other ones.
  EXPECT_EQ(verdict(cache, "amx", other, "amx"), Verdict::kImpossible);
  other = cache;
  other.heads = {2, 4, 7};  // As many elements, in heads of another size.
  other.head_size = 32;
  EXPECT_EQ(verdict(cache, "amx", other, "amx"), Verdict::kImpossible);
  other = cache;
  other.block_size = 64;
  EXPECT_EQ(verdict(cache, "amx", other, "amx"), Verdict::kImpossible);
  const auto built = [&](std::string_view build) {
    return vllm_cpu(cache, {"neon", build}, tensors_of(2, 1'000'000)).value();
  };
  EXPECT_EQ(compatible(built("0.11.2"), built("0.11.2 bf16")).verdict, Verdict::kImpossible);
  const LayoutView gpu =
      vllm_split(cache, {.order = InnerShape::kHnd}, tensors_of(2, 1'000'000)).value();
  const LayoutView cpu = vllm_cpu(cache, {"vec", "0.11.2"}, tensors_of(2, 1'000'000)).value();
  EXPECT_EQ(compatible(gpu, cpu).verdict, Verdict::kImpossible);
}

std::string refusal(const Result<LayoutView>& view) {
  EXPECT_FALSE(view.has_value());
  return view ? "accepted" : view.error().message;
}

TEST(Engines, RefuseWhatIsNotKnown) {
  const Cache cache = cache_of({4, 2, 16, 2, 64, 2});
  const std::vector<Region> regions = tensors_of(2, 1'000'000);
  EXPECT_EQ(refusal(vllm_split(cache, {.order = InnerShape::kUnknown}, regions)),
            "order: Unknown is not NHD or HND");
  for (const std::string_view name : {"", "NHD", "lbhnc", "HLBNC", "LBHNCX"}) {
    EXPECT_THAT(refusal(vllm_packed(cache, name, regions)),
                StartsWith("layout: \"" + std::string{name} + "\" is not LBHNC, LBNHC"));
  }
  for (const std::string_view isa : {"", "AMX", "avx512", "vec32"}) {
    EXPECT_THAT(refusal(vllm_cpu(cache, {isa, "0.11.2"}, regions)),
                StartsWith("isa: \"" + std::string{isa} + "\" is not amx, amx_fp8"));
  }
  EXPECT_THAT(refusal(vllm_cpu(cache, {"neon", ""}, regions)), StartsWith("build: empty"));
  for (const auto& latent : {vllm_mla, sglang_mla}) {
    EXPECT_EQ(refusal(latent(cache, regions)),
              "heads: a latent is 1 head, which every rank holds, not 2 from 2 of 5");
  }
  // Parts that were forgotten are not taken for all, or for one.
  Cache forgotten{.num_blocks = 4, .block_size = 16, .head_size = 64};
  EXPECT_THAT(refusal(vllm_mla(forgotten, regions)), StartsWith("heads: a latent is 1 head"));
  EXPECT_EQ(refusal(sglang_mha(forgotten, regions)), "head axis: extent 0 is not at least 1");
  forgotten.heads = {0, 1, 1};
  EXPECT_EQ(refusal(vllm_mla(forgotten, regions)), "layer axis: extent 0 is not at least 1");
}

TEST(Engines, NameWhatAPackingHides) {
  const auto why = [](const auto& change) {
    Cache cache = cache_of({4, 2, 16, 2, 64, 2});
    change(cache);
    return refusal(vllm_cpu(cache, {"vec", "0.11.2"}, tensors_of(2, 1'000'000)));
  };
  EXPECT_EQ(why([](Cache& c) { c.block_size = 0; }), "block_size: 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.head_size = 0; }), "head_size: 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.heads = {0, 0, 2}; }), "heads: 0 is not at least 1");
}

TEST(Engines, RefuseCachesThatCannotBe) {
  const Sizes sizes{4, 2, 16, 2, 64, 2};
  const std::vector<Region> regions = tensors_of(2, 1'000'000);
  const auto why = [&](const auto& change) {
    Cache cache = cache_of(sizes);
    change(cache);
    const std::string first = refusal(vllm_split(cache, {}, regions));
    EXPECT_FALSE(vllm_cpu(cache, {"vec", "0.11.2"}, regions).has_value());
    return first;
  };
  EXPECT_EQ(why([](Cache& c) { c.num_blocks = 0; }), "block axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.block_size = 0; }), "token axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.head_size = 0; }), "element axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.heads.extent = 0; }), "head axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.layers.extent = 0; }), "layer axis: extent 0 is not at least 1");
  EXPECT_EQ(why([](Cache& c) { c.element_bytes = 3; }), "element_bytes: 3 is not 1, 2, 4 or 8");
  EXPECT_EQ(why([](Cache& c) { c.heads.origin = 4; }),
            "head axis: origin 4 and extent 2 leave the model's 5");
  EXPECT_THAT(why([](Cache& c) { c.layers.whole = 2; }),
              StartsWith("layer axis: origin 1 and extent 2 leave the model's 2"));
  EXPECT_THAT(why([](Cache& c) { c.num_blocks = 1000; }), StartsWith("region 0: the axes span"));
  EXPECT_THAT(why([](Cache& c) { c.num_blocks = std::uint64_t{1} << 63U; }),
              StartsWith("block axis: extent 9223372036854775808 x stride 2048"));
  EXPECT_THAT(why([](Cache& c) { c.head_size = std::uint64_t{1} << 63U; }),
              StartsWith("element axis: extent 9223372036854775808"));
}

}  // namespace
}  // namespace kvferry::layout::engines
