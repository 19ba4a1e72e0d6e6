// SPDX-License-Identifier: Apache-2.0
// Goal: each rule of import is reported where it is broken, with field, value and bound, and only
// there. Method: a message that breaks none, with one value changed at a time. That the names agree
// with the original's messages is shown by tests/golden.
#include "kvferry/wire/lint.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "samples.hpp"
#include "wire/encoder.hpp"

namespace kvferry::wire {
namespace {

using Message = RdmaLayoutDescriptors;

std::vector<Lint> lint_of(const Message& message) {
  const auto bytes = encode_owned(message.worker_address, message.nixl_metadata, message.layouts,
                                  MessageFormat::kA);
  const auto view = decode_view(bytes);
  EXPECT_TRUE(view);
  return view ? lint(*view) : std::vector<Lint>{};
}

struct Case {
  std::string_view rule;
  std::string_view message;
  std::function<void(LocalLayoutDescriptor&)> change;
  bool refuses_import{true};
};

/// Changes one thing in a clean message and expects just one rule to be broken by it.
void expect_rule(const Case& test) {
  SCOPED_TRACE(test.rule);
  Message message = samples::clean_message();
  test.change(message.layouts[0]);
  const std::vector<Lint> lints = lint_of(message);
  ASSERT_EQ(lints.size(), 1U);
  EXPECT_EQ(to_string(lints[0].rule), test.rule);
  EXPECT_EQ(lints[0].message, test.message);
  EXPECT_EQ(lints[0].refuses_import, test.refuses_import);
  EXPECT_EQ(lints[0].occurrences, 1U);
}

TEST(Lint, IsEmptyForAMessageThatBreaksNoRule) {
  EXPECT_TRUE(lint_of(samples::clean_message()).empty());
}

TEST(Lint, ReportsHandlesAndVersions) {
  expect_rule({"handle_worker_mismatch", "layouts[0].handle: worker 8 in a message of worker 7",
               [](auto& l) {
                 l.handle = LayoutHandle{WorkerId{8}, LayoutId{0}};
               }});
  expect_rule({"handle_reserved_bits", "layouts[0].handle: reserved bits 0x1 are not zero",
               [](auto& l) { l.handle = LayoutHandle::from_bits(0x10000, 7); }, false});
  expect_rule({"version_zero", "layouts[0].layout.version: 0, writers write 1",
               [](auto& l) { l.layout.version = 0; }, false});
  expect_rule({"version_unsupported", "layouts[0].layout.version: 2 of at most 1",
               [](auto& l) { l.layout.version = 2; }});
}

TEST(Lint, ReportsValuesOutOfRange) {
  const std::string path{"layouts[0].layout.layout_config."};
  using Config = layout::LayoutConfig;
  const auto zero = [&path](std::uint64_t Config::*member, std::string_view name) {
    expect_rule({"config_range", path + std::string{name} + ": 0, at least 1",
                 [member](auto& l) { l.layout.layout_config.*member = 0; }});
  };
  zero(&Config::num_blocks, "num_blocks");
  zero(&Config::page_size, "page_size");
  zero(&Config::inner_dim, "inner_dim");
  for (const std::uint64_t outer : {0U, 3U}) {
    expect_rule({"config_range", path + "outer_dim: " + std::to_string(outer) + ", neither 1 nor 2",
                 [outer](auto& l) {
                   l.layout.layout_config.outer_dim = outer;
                   for (Region& region : l.layout.memory_descriptors) region.size_bytes = 4096;
                 }});
  }
  for (const std::uint64_t alignment : {0U, 3U}) {
    expect_rule({"alignment_not_power_of_2",
                 path + "alignment: " + std::to_string(alignment) + " is not a power of two",
                 [alignment](auto& l) { l.layout.layout_config.alignment = alignment; }});
  }
}

TEST(Lint, ReportsZeroLayersBesideTheRegionsThatNoLayerHas) {
  Message message = samples::clean_message();
  message.layouts[0].layout.layout_config.num_layers = 0;
  const auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 2U);
  EXPECT_EQ(lints[0].message, "layouts[0].layout.layout_config.num_layers: 0, at least 1");
  EXPECT_EQ(lints[1].message, "layouts[0].layout.memory_descriptors: 3 regions of 0");
}

TEST(Lint, ReportsOneByteElementsWithoutRefusingThem) {
  const std::string path{"layouts[0].layout.layout_config.dtype_width_bytes: "};
  expect_rule({"dtype_width", path + "1 is none of 2, 4, 8",
               [](auto& l) { l.layout.layout_config.dtype_width_bytes = 1; }, false});
  for (const std::uint64_t width : {0U, 3U, 16U}) {
    expect_rule(
        {"dtype_width", path + std::to_string(width) + " is none of 2, 4, 8", [width](auto& l) {
           l.layout.layout_config.dtype_width_bytes = width;
           for (Region& region : l.layout.memory_descriptors) region.size_bytes = 4096;
         }});
  }
}

TEST(Lint, KeepsARefusalThatComesAfterAMereReportOfTheSameRule) {
  Message message = samples::clean_message();
  message.layouts[0].layout.layout_config.dtype_width_bytes = 1;
  message.layouts.push_back(message.layouts[0]);
  message.layouts[1].handle = LayoutHandle{WorkerId{7}, LayoutId{1}};
  message.layouts[1].layout.layout_config.dtype_width_bytes = 0;
  const auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 2U);
  EXPECT_TRUE(lints[0].refuses_import);
  EXPECT_FALSE(lints[1].refuses_import);
  EXPECT_EQ(lints[0].rule, LintRule::kDtypeWidth);
  EXPECT_EQ(lints[1].rule, LintRule::kDtypeWidth);
}

TEST(Lint, ReportsLocationsThatDoNotFit) {
  expect_rule({"location_mem_type_mismatch",
               "layouts[0].layout.nixl_metadata.mem_type: Dram of a layout in Device(3)",
               [](auto& l) { l.layout.nixl_metadata.mem_type = MemType::kDram; }});
  expect_rule({"location_device_mismatch",
               "layouts[0].layout.nixl_metadata.device_id: 2 of a layout in Device(3)",
               [](auto& l) { l.layout.nixl_metadata.device_id = 2; }});
}

TEST(Lint, ReportsRegionsThatCannotHoldTheLayout) {
  const std::string path{"layouts[0].layout.memory_descriptors"};
  expect_rule({"region_count", path + ": 2 regions of 3",
               [](auto& l) { l.layout.memory_descriptors.pop_back(); }});
  expect_rule({"region_too_small", path + "[1].size: 255 of at least 256 bytes",
               [](auto& l) { l.layout.memory_descriptors[1].size_bytes = 255; }});
  expect_rule({"address_zero", path + "[0].addr: 0, which is no address of memory",
               [](auto& l) { l.layout.memory_descriptors[0].address = 0; }});
  expect_rule({"address_overflow", path + "[2]: 256 bytes at 18446744073709551361 end past 2^64",
               [](auto& l) { l.layout.memory_descriptors[2].address = 0 - std::uint64_t{255}; }});
  expect_rule({"regions_overlap",
               path + "[1]: begins at 4351, inside memory_descriptors[0], 256 bytes at 4096",
               [](auto& l) { l.layout.memory_descriptors[1].address = 4351; }});
  // In descending order, and with an overlap that only sorting brings together.
  expect_rule({"regions_overlap",
               path + "[2]: begins at 4100, inside memory_descriptors[0], 256 bytes at 4096",
               [](auto& l) { l.layout.memory_descriptors[2].address = 4100; }});
}

TEST(Lint, AcceptsRegionsThatTouchOrEndAtTheLastAddress) {
  Message message = samples::clean_message();
  auto& regions = message.layouts[0].layout.memory_descriptors;
  regions = {{0 - std::uint64_t{256}, 256}, {4352, 256}, {4096, 256}};
  EXPECT_TRUE(lint_of(message).empty());
}

TEST(Lint, AllowsOffsetZeroOnDisk) {
  Message message = samples::clean_message();
  message.layouts[0].layout.location = StorageKind::disk(3);
  message.layouts[0].layout.nixl_metadata.mem_type = MemType::kFile;
  message.layouts[0].layout.memory_descriptors[0].address = 0;
  EXPECT_TRUE(lint_of(message).empty());
}

TEST(Lint, ReportsSizesThatOverflow) {
  Message message = samples::clean_message();
  message.layouts[0].layout.layout_config.num_blocks = 1ULL << 62U;
  const auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 2U);
  EXPECT_EQ(lints[0].rule, LintRule::kProductOverflow);
  EXPECT_EQ(lints[0].message,
            "layouts[0].layout.layout_config: 4611686018427387904 x 3 x 2 x 4 x 8 x 2 bytes of at "
            "most 2^64 - 1");
  EXPECT_EQ(lints[1].rule, LintRule::kRegionTooSmall);
  EXPECT_EQ(lints[1].occurrences, 3U);
}

TEST(Lint, ReportsAgentNames) {
  expect_rule({"agent_name_mismatch",
               "layouts[0].layout.nixl_metadata.agent_name: \"worker-8\" is not the worker's "
               "\"worker-7\"",
               [](auto& l) { l.layout.nixl_metadata.agent_name = "worker-8"; }});
  Message message = samples::clean_message();
  message.worker_address.nixl_agent_name = "a\n";
  message.layouts[0].layout.nixl_metadata.agent_name = "a\n";
  auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 1U);
  EXPECT_EQ(lints[0].message,
            "worker_address.nixl_agent_name: \"a\\u000a\" holds a control character");
  EXPECT_EQ(lints[0].occurrences, 1U);
  message.layouts[0].layout.nixl_metadata.agent_name = "";
  lints = lint_of(message);
  ASSERT_EQ(lints.size(), 2U);
  EXPECT_EQ(lints[0].rule, LintRule::kAgentNameEmptyOrControl);
  EXPECT_EQ(lints[0].occurrences, 2U);
  EXPECT_EQ(lints[1].rule, LintRule::kAgentNameMismatch);
}

TEST(Lint, ReportsEqualHandlesWhereverTheyStand) {
  Message message = samples::clean_message();
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{5, 3, 0, 3}) {
    message.layouts.push_back(message.layouts[0]);
    message.layouts.back().handle = LayoutHandle{WorkerId{7}, LayoutId{id}};
  }
  const auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 1U);
  EXPECT_EQ(lints[0].rule, LintRule::kDuplicateHandle);
  EXPECT_EQ(lints[0].occurrences, 2U);
  EXPECT_EQ(lints[0].message,
            "layouts[3].handle: LayoutHandle(worker=7, layout=0) is also that of layouts[0]");
}

TEST(Lint, HoldsOneEntryForARuleHoweverManyPlacesBreakIt) {
  Message message = samples::clean_message();
  message.layouts[0].layout.memory_descriptors.assign(60'000, Region{0, 0});
  const auto lints = lint_of(message);
  ASSERT_EQ(lints.size(), 3U);
  EXPECT_EQ(lints[0].rule, LintRule::kAddressZero);
  EXPECT_EQ(lints[0].occurrences, 60'000U);
}

TEST(Lint, HasItsRulesInTheOrderOfTheirNames) {
  for (int i = 0; i < static_cast<int>(LintRule::kVersionZero); ++i) {
    EXPECT_LT(to_string(static_cast<LintRule>(i)), to_string(static_cast<LintRule>(i + 1)));
  }
}

}  // namespace
}  // namespace kvferry::wire
