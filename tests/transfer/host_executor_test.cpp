// SPDX-License-Identifier: Apache-2.0
// Goal: what the host executor does beyond what every executor does: it is done when post()
// returns. Method: posts compared with plain copies; the rest is the executors' conformance suite.
#include <gtest/gtest.h>

#include <cstring>

#include "guarded_cache.hpp"
#include "kvferry/testing/matchers.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

using testing::GuardedCache;
using testing::IsOk;
using testing::tiny_config;

TEST(HostExecutor, IsDoneWhenPostReturnsWhateverTheSize) {
  const GuardedCache source{tiny_config(1 << 16), layout::Arrangement::kFullyContiguous, 1};
  const GuardedCache destination{tiny_config(1 << 16), layout::Arrangement::kFullyContiguous, 2};
  const auto executor = make_host_executor(source.physical(), destination.physical());
  EXPECT_EQ(executor->largest_post_bytes(), 0U) << "no limit";
  constexpr std::uint64_t kBytes = 16U << 16U;
  const kvferry::Run whole{{0, 0, 0}, {0, 0, 0}, kBytes, 1};
  const auto posted = executor->post({{&whole, 1}});
  ASSERT_THAT(posted, IsOk());
  EXPECT_FALSE(posted->has_value());
  EXPECT_EQ(std::memcmp(source.physical()->region_bases()[0],
                        destination.physical()->region_bases()[0], kBytes),
            0);
}

}  // namespace
}  // namespace kvferry::transfer
