// SPDX-License-Identifier: Apache-2.0
// Goal: what suite wire packs is what it says it is. Method: golden bytes for the seed's message;
// sizes, and the rules of import, for the others.
#include "wire_messages.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "kvferry/testing/matchers.hpp"
#include "kvferry/wire/lint.hpp"
#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/serialized_layout.hpp"

namespace kvferry::bench {
namespace {

wire::SerializedLayout packed(const wire::RdmaLayoutDescriptors& message) {
  return wire::SerializedLayout::pack(message.worker_address, message.nixl_metadata,
                                      message.layouts, wire::MessageFormat::kB)
      .value();
}

TEST(SeedMessage, IsThatOfTheOriginalsTest) {
  std::ifstream file{KVFERRY_SOURCE_DIR "/vectors/b_seed_pack_unpack.bin", std::ios::binary};
  const std::string golden{std::istreambuf_iterator<char>{file}, {}};
  ASSERT_FALSE(golden.empty());
  const auto bytes = packed(seed_message());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.as_bytes().data()), bytes.len()),
            golden);
}

TEST(LargeMessages, HaveTheirSizesAndCouldBeImported) {
  for (const auto& [message, layouts, regions] :
       {std::tuple{layered_message(8), 8U, 640U},
        std::tuple{contiguous_message(1000), 1000U, 1000U}}) {
    const auto bytes = packed(message);
    const auto view = wire::decode_view(bytes.as_bytes());
    ASSERT_THAT(view, testing::IsOk());
    EXPECT_EQ(view->layouts().size(), layouts);
    EXPECT_EQ(view->regions().size(), regions);
    EXPECT_EQ(view->nixl_metadata.size(), layouts == 8 ? 2048U : 0U);
    EXPECT_TRUE(wire::lint(*view).empty());
  }
}

}  // namespace
}  // namespace kvferry::bench
