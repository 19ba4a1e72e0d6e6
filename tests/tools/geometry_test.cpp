// SPDX-License-Identifier: Apache-2.0
// Goal: the geometries are those of the real models.
// Method: bytes of a block, as the models' documentation gives them, from the table's numbers.
#include "geometry.hpp"

#include <gtest/gtest.h>

#include <array>

namespace kvferry::tool {
namespace {

struct Row {
  std::string_view name;
  std::uint64_t block_bytes;
  std::uint64_t layer_bytes;
};

TEST(Geometry, HasTheBytesOfTheRealModels) {
  constexpr std::array<Row, 8> kRows{{{"llama-3.1-8b", 2'097'152, 65'536},
                                      {"llama-3.3-70b", 5'242'880, 65'536},
                                      {"qwen3-32b", 4'194'304, 65'536},
                                      {"qwen3-235b-a22b", 3'080'192, 32'768},
                                      {"deepseek-v3", 4'497'408, 73'728},
                                      {"gpt-oss-120b", 1'179'648, 32'768},
                                      {"mistral-large-2", 5'767'168, 65'536},
                                      {"smollm2-135m", 368'640, 12'288}}};
  ASSERT_EQ(geometries().size(), kRows.size());
  for (const Row& row : kRows) {
    const Geometry* const geometry = find_geometry(row.name);
    ASSERT_NE(geometry, nullptr) << row.name;
    const std::uint64_t layer_bytes =
        geometry->outer_dim * geometry->page_size * geometry->heads * geometry->head_dim * 2;
    EXPECT_EQ(layer_bytes, row.layer_bytes) << row.name;
    EXPECT_EQ(layer_bytes * geometry->layers, row.block_bytes) << row.name;
  }
}

TEST(Geometry, OfMlaIsOneLatentWithOneHead) {
  const Geometry* const mla = find_geometry("deepseek-v3");
  ASSERT_NE(mla, nullptr);
  EXPECT_EQ(mla->heads, 1U);
  EXPECT_EQ(mla->outer_dim, 1U);
}

TEST(Geometry, IsFoundByItsWholeNameOnly) {
  EXPECT_EQ(find_geometry("llama"), nullptr);
  EXPECT_EQ(find_geometry(""), nullptr);
  EXPECT_EQ(find_geometry("LLAMA-3.1-8B"), nullptr);
}

}  // namespace
}  // namespace kvferry::tool
