// SPDX-License-Identifier: Apache-2.0
// Goal: an envelope says all that its value does, and what cannot be is refused by name on both
// sides. Method: round trips of values at their bounds, bodies written byte by byte with one wrong
// value each, and random values and damage with printed seeds.
#include "kvferry/wire/envelope.hpp"

#include <limits>
#include <random>

#include "envelopes.hpp"

namespace kvferry::wire {
namespace {

using namespace std::chrono_literals;
using samples::body_with;
using samples::Bytes;
using samples::bytes_field;
using samples::bytes_of;
using samples::expect_fails;
using samples::fixed_field;
using samples::framed;
using samples::layout_with;
using samples::number_field;
using samples::packed_in;
using samples::small_envelope;
using samples::to_hex;
using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

void expect_corrupt(std::string_view more, std::string_view message) {
  expect_fails(decode_envelope(framed(body_with(more))), ErrorCode::kCorrupt, message);
}

void expect_layout_corrupt(std::string_view more, std::string_view message) {
  expect_corrupt(bytes_field(10, layout_with(more)), message);
}

void expect_invalid(const Envelope& envelope, std::string_view message) {
  expect_fails(encode_envelope(envelope), ErrorCode::kInvalidArgument, message);
}

void expect_round_trip(const Envelope& envelope) {
  const auto bytes = encode_envelope(envelope);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto read = decode_envelope(*bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, envelope);
  EXPECT_EQ(to_hex(*encode_envelope(*read)), to_hex(*bytes));
}

system_clock::time_point at_ms(std::int64_t ms) {
  return system_clock::time_point{milliseconds{ms}};
}

Envelope with_layout(const EnvelopeLayout& layout) {
  Envelope envelope = small_envelope();
  envelope.layouts = {layout};
  return envelope;
}

TEST(Envelope, ComesBackAsItWas) { expect_round_trip(small_envelope()); }

TEST(Envelope, CarriesEveryFieldAtItsBounds) {
  Envelope envelope = small_envelope();
  envelope.worker_address = {WorkerId{kLargest}, std::string(4096, 'n')};
  envelope.epoch = {kLargest, kLargest};
  envelope.generation = kLargest;
  envelope.issued = at_ms(9'223'372'036'853);
  envelope.lease = 1ms;
  envelope.audience = std::string(4096, 'a');
  envelope.agents.push_back(AgentBlob{std::string(64, 'k'), {}, {}});
  EnvelopeLayout& layout = envelope.layouts.front();
  layout.id = LayoutId{65'535};
  packed_in(layout).config = {.num_blocks = kLargest,
                              .num_layers = kLargest,
                              .outer_dim = kLargest,
                              .page_size = kLargest,
                              .inner_dim = kLargest,
                              .alignment = kLargest,
                              .dtype_width_bytes = kLargest,
                              .num_heads = kLargest};
  layout.model = std::string(256, 'm');
  layout.group = std::string(64, 'g');
  layout.regions = {{kLargest, kLargest}, {0, 0}};
  layout.guards = Region{kLargest, 0};
  expect_round_trip(envelope);
}

TEST(Envelope, CarriesNothingAsNothing) {
  Envelope envelope;
  envelope.worker_address.nixl_agent_name = "w";
  envelope.epoch = {0, 1};
  expect_round_trip(envelope);
  EnvelopeLayout layout;
  packed_in(layout).config = {.alignment = 0, .dtype_width_bytes = 0, .num_heads = 0};
  envelope.layouts = {layout};
  expect_round_trip(envelope);
}

TEST(Envelope, CarriesEveryVariant) {
  EnvelopeLayout layout = small_envelope().layouts.front();
  for (const StorageKind kind : {StorageKind::system(), StorageKind::pinned(),
                                 StorageKind::device(0), StorageKind::device(~std::uint32_t{0}),
                                 StorageKind::disk(0), StorageKind::disk(kLargest)}) {
    layout.location = kind;
    expect_round_trip(with_layout(layout));
  }
  for (const Access access : {Access::kRead, Access::kReadWrite}) {
    layout.access = access;
    expect_round_trip(with_layout(layout));
  }
  for (const LogicalType tier :
       {LogicalType::kG1, LogicalType::kG2, LogicalType::kG3, LogicalType::kG4}) {
    layout.tier = tier;
    expect_round_trip(with_layout(layout));
  }
  for (const auto arrangement :
       {layout::Arrangement::kFullyContiguous, layout::Arrangement::kLayerSeparateBlockFirst,
        layout::Arrangement::kLayerSeparateBlockSecond}) {
    packed_in(layout).arrangement = arrangement;
    expect_round_trip(with_layout(layout));
  }
  layout::BlockAxes order{layout::kNhd};  // In ascending order, from which all are reached.
  do {
    packed_in(layout).order = order;
    expect_round_trip(with_layout(layout));
  } while (std::next_permutation(order.begin(), order.end()));
  packed_in(layout).order.reset();
  expect_round_trip(with_layout(layout));
}

TEST(Envelope, CarriesPartsOfAModel) {
  EnvelopeLayout layout = small_envelope().layouts.front();
  packed_in(layout).layers = {.origin = 6, .extent = 2, .whole = 8};
  expect_round_trip(with_layout(layout));
  packed_in(layout).heads = {.origin = 8, .extent = 8, .whole = kLargest};
  expect_round_trip(with_layout(layout));
}

/// The layout of `small_envelope()` as strides say it, with room between its tokens.
layout::LayoutView::Parts strided() {
  layout::LayoutView::Parts parts = layout::strided_layout(
      packed_in(small_envelope().layouts.front()).config,
      {.stride_bytes = {8192, 0, 4096, 256, 16}, .regions = {0, 1, 0, 0, 0}},
      {.origin = 1, .extent = 2, .whole = 3}, {.origin = 0, .extent = 8, .whole = 16});
  parts.offset_bytes = 64;
  return parts;
}

TEST(Envelope, CarriesStrides) {
  EnvelopeLayout layout = small_envelope().layouts.front();
  layout::LayoutView::Parts parts = strided();
  layout.description = parts;
  expect_round_trip(with_layout(layout));
  layout::LayoutConfig config = packed_in(small_envelope().layouts.front()).config;
  config.num_heads.reset();
  parts =
      layout::strided_layout(config, {.stride_bytes = {kLargest, 0, 1, 0, 0}, .regions = {0, ~0U}});
  parts.packing = "cpu";
  layout.description = parts;
  expect_round_trip(with_layout(layout));
}

TEST(Envelope, SaysWhatItsReadersMustKnow) {
  EnvelopeLayout layout = small_envelope().layouts.front();
  const auto says = [&layout](std::string_view word) {
    const auto bytes = *encode_envelope(with_layout(layout));
    const std::string text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return text.find(word) != std::string::npos;
  };
  EXPECT_FALSE(says("orders") || says("parts") || says("strides"));
  packed_in(layout).order = layout::kUniversalPp;
  EXPECT_TRUE(says("orders") && !says("parts") && !says("strides"));
  packed_in(layout).layers = {.origin = 0, .extent = 2, .whole = 4};
  EXPECT_TRUE(says("orders") && says("parts") && !says("strides"));
  layout.description = strided();
  EXPECT_TRUE(!says("orders") && says("parts") && says("strides"));
}

TEST(Envelope, IsIssuedAtAWholeMillisecond) {
  Envelope envelope = small_envelope();
  envelope.issued = at_ms(5) + 999'999ns;
  const auto read = decode_envelope(*encode_envelope(envelope));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->issued, at_ms(5));
}

TEST(Envelope, KeepsWhatIsNotKnownHere) {
  Envelope envelope = small_envelope();
  envelope.unknown_fields = bytes_of(number_field(100, 1));
  envelope.agents.front().unknown_fields = bytes_of(bytes_field(3, "later"));
  envelope.layouts.push_back(envelope.layouts.front());
  envelope.layouts.back().id = LayoutId{4};
  // A number that is longer than it need be stays so.
  envelope.layouts.back().unknown_fields =
      bytes_of(samples::varint(20U << 3U) + "\x81\x80" + std::string(1, '\0'));
  expect_round_trip(envelope);
}

TEST(Envelope, TakesFieldsInAnyOrderAndTheLastOfEach) {
  const auto read = decode_envelope(framed(number_field(4, 8) +
                                           bytes_field(10, number_field(6, 2) + layout_with("")) +
                                           body_with(number_field(4, 9))));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->generation, 9U);
  EXPECT_EQ(packed_in(read->layouts.front()).arrangement, layout::Arrangement::kFullyContiguous);
}

TEST(Envelope, TakesRegionsPackedAndNot) {
  const std::string packed = bytes_field(16, samples::little(1, 8) + samples::little(2, 8));
  const auto read = decode_envelope(framed(body_with(
      bytes_field(10, layout_with(packed + fixed_field(17, 3) + fixed_field(17, 4) +
                                  fixed_field(16, 5) + bytes_field(17, samples::little(6, 8)))))));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->layouts.front().regions, (std::vector<Region>{{1, 3}, {2, 4}, {5, 6}}));
}

TEST(Envelope, OfFeaturesThatAreNotKnownIsIncompatible) {
  const std::string body =
      body_with(bytes_field(8, "groups") + bytes_field(10, number_field(2, 9)));
  expect_fails(decode_envelope(framed(body)), ErrorCode::kIncompatible,
               "required_features: \"groups\" not known here");
}

TEST(Envelope, RefusesAWorkerThatCannotBe) {
  expect_fails(decode_envelope(framed("")), ErrorCode::kCorrupt, "name at 48: is empty");
  expect_corrupt(bytes_field(2, ""), "name at 71: is empty");
  expect_corrupt(bytes_field(3, "12345"), "epoch at 71: 5 bytes of 16");
  expect_corrupt(bytes_field(3, std::string(16, '\0')), "epoch at 71: is zero");
  expect_corrupt(number_field(4, 0), "generation at 71: is zero");
  expect_fails(decode_envelope(framed(bytes_field(2, "w"))), ErrorCode::kCorrupt,
               "epoch at 48: 0 bytes of 16");
}

TEST(Envelope, RefusesTimesThatNoClockShows) {
  expect_corrupt(number_field(5, kLargest),
                 "issued_unix_ms at 71: -1 ms is not 0 to 9223372036854");
  expect_corrupt(number_field(5, 9'223'372'036'855),
                 "issued_unix_ms at 71: 9223372036855 ms is not 0 to 9223372036854");
  expect_corrupt(number_field(5, std::uint64_t{1} << 63U),
                 "issued_unix_ms at 71: -9223372036854775808 ms is not 0 to 9223372036854");
  expect_corrupt(number_field(5, 9'223'372'036'854) + number_field(6, 1),
                 "lease_ms at 79: 1 ms, at most 0 after this issue");
  expect_corrupt(number_field(6, kLargest),
                 "lease_ms at 71: 18446744073709551615 ms, at most 9223372036854 after this issue");
  EXPECT_TRUE(decode_envelope(framed(body_with(number_field(5, 9'223'372'036'854)))));
  EXPECT_TRUE(decode_envelope(framed(body_with(number_field(6, 9'223'372'036'854)))));
}

TEST(Envelope, RefusesAgentsThatCannotBe) {
  expect_corrupt(bytes_field(9, bytes_field(2, "blob")), "agents[0].kind at 73: is empty");
  const std::string shm = bytes_field(9, bytes_field(1, "shm"));
  expect_corrupt(shm + bytes_field(9, bytes_field(1, "nixl")) + shm,
                 "agents[2].kind at 88: \"shm\" is that of agents[0] too");
}

TEST(Envelope, RefusesVariantsThatItDoesNotKnow) {
  expect_layout_corrupt(number_field(2, 0), "layouts[0].storage at 79: 0 is not 1 to 4");
  expect_layout_corrupt(number_field(2, 5), "layouts[0].storage at 79: 5 is not 1 to 4");
  expect_layout_corrupt(number_field(4, 0), "layouts[0].access at 79: 0 is not 1 to 2");
  expect_layout_corrupt(number_field(4, 3), "layouts[0].access at 79: 3 is not 1 to 2");
  expect_layout_corrupt(number_field(5, 5), "layouts[0].tier at 79: 5 is not 0 to 4");
  expect_layout_corrupt(number_field(6, 0), "layouts[0].arrangement at 79: 0 is not 1 to 4");
  expect_layout_corrupt(number_field(6, 5), "layouts[0].arrangement at 79: 5 is not 1 to 4");
  expect_layout_corrupt(number_field(7, 6), "layouts[0].order at 79: 6 is not 0 to 5");
  expect_layout_corrupt(number_field(7, 4'294'967'295), "layouts[0].order at 79: -1 is not 0 to 5");
  expect_corrupt(bytes_field(10, ""), "layouts[0].storage at 73: 0 is not 1 to 4");
}

TEST(Envelope, RefusesLayoutsThatCannotBe) {
  expect_layout_corrupt(number_field(1, 65'536), "layouts[0].id at 79: 65536, at most 65535");
  expect_layout_corrupt(number_field(3, 1), "layouts[0].storage_id at 79: 1, at most 0 for this");
  expect_layout_corrupt(number_field(2, 3) + number_field(3, std::uint64_t{1} << 32U),
                        "layouts[0].storage_id at 81: 4294967296, at most 4294967295 for this");
  expect_layout_corrupt(fixed_field(16, 1), "layouts[0].sizes at 73: 0 for 1 addresses");
  expect_layout_corrupt(fixed_field(17, 1), "layouts[0].sizes at 79: 1 for 0 addresses");
  expect_layout_corrupt(fixed_field(18, 1),
                        "layouts[0].guards_address at 79: guards have an address and a size");
  expect_layout_corrupt(fixed_field(19, 1),
                        "layouts[0].guards_bytes at 79: guards have an address and a size");
  const std::string one = bytes_field(10, layout_with(number_field(1, 7)));
  expect_corrupt(one + one, "layouts[1].id at 89: 7 is that of another layout too");
}

TEST(Envelope, IsNotWrittenForAWorkerThatCannotBe) {
  const auto changed = [](auto change) {
    Envelope envelope = small_envelope();
    change(envelope);
    return envelope;
  };
  expect_invalid(changed([](Envelope& e) { e.worker_address.nixl_agent_name = ""; }),
                 "name: is empty");
  expect_invalid(changed([](Envelope& e) { e.worker_address.nixl_agent_name = "a\xff"; }),
                 "name: not UTF-8 at byte 1 of 2");
  expect_invalid(changed([](Envelope& e) { e.worker_address.nixl_agent_name = "a\n"; }),
                 "name: \"a\\u000a\" holds a control character");
  expect_invalid(
      changed([](Envelope& e) { e.worker_address.nixl_agent_name = std::string(4097, 'n'); }),
      "name: length 4097, limit 4096");
  expect_invalid(changed([](Envelope& e) { e.audience = "\xff"; }), "audience: not UTF-8");
  expect_invalid(changed([](Envelope& e) { e.epoch = {}; }), "epoch: is zero");
  expect_invalid(changed([](Envelope& e) { e.generation = 0; }), "generation: is zero");
  expect_invalid(changed([](Envelope& e) { e.issued = at_ms(0) - 1ns; }),
                 "issued_unix_ms: -1 ms is not 0 to 9223372036854");
  expect_invalid(changed([](Envelope& e) { e.lease = -1ms; }), "lease_ms: -1 ms is negative");
  expect_invalid(changed([](Envelope& e) { e.lease = milliseconds::max(); }),
                 "lease_ms: 9223372036854775807 ms, at most 9223372036854 after this issue");
  expect_invalid(changed([](Envelope& e) { e.unknown_fields = bytes_of("\xff"); }),
                 "unknown_fields at 0: the message ends inside a number");
}

TEST(Envelope, IsNotWrittenForAgentsThatCannotBe) {
  Envelope envelope = small_envelope();
  envelope.agents = {AgentBlob{"shm", {}, {}}, AgentBlob{"shm", {}, {}}};
  expect_invalid(envelope, "agents[1].kind: \"shm\" is that of agents[0] too");
  envelope.agents = {AgentBlob{std::string(65, 'k'), {}, {}}};
  expect_invalid(envelope, "agents[0].kind: length 65, limit 64");
  envelope.agents = {AgentBlob{"", {}, {}}};
  expect_invalid(envelope, "agents[0].kind: is empty");
  envelope.agents = {AgentBlob{"shm", Bytes((32U << 20U) + 1), {}}};
  expect_invalid(envelope, "agents[0].blob: length 33554433, limit 33554432");
  envelope.agents = {AgentBlob{"shm", {}, bytes_of(number_field(1, 1))}};
  expect_invalid(envelope, "unknown_fields at 0: field 1 is known, as kind");
  envelope.agents.assign(17, AgentBlob{});
  expect_invalid(envelope, "agents: 17, limit 16");
}

TEST(Envelope, IsNotWrittenForLayoutsThatCannotBe) {
  const EnvelopeLayout good = small_envelope().layouts.front();
  const auto refuse = [&](auto change, std::string_view message) {
    EnvelopeLayout layout = good;
    change(layout);
    expect_invalid(with_layout(layout), message);
  };
  refuse([](EnvelopeLayout& l) { l.access = Access::kNone; }, "layouts[0].access: 0 is not 1 to 2");
  refuse([](EnvelopeLayout& l) { l.location.id = 1; },
         "layouts[0].storage_id: 1, at most 0 for this storage");
  refuse([](EnvelopeLayout& l) { packed_in(l).arrangement = static_cast<layout::Arrangement>(4); },
         "layouts[0].arrangement: 5 is not 1 to 4");
  refuse([](EnvelopeLayout& l) { packed_in(l).config.inner_shape = layout::InnerShape::kNhd; },
         "layouts[0]: holds what an envelope cannot say");
  refuse([](EnvelopeLayout& l) { packed_in(l).order = layout::BlockAxes{}; },
         "layouts[0].axes: does not name each of 0 to 3 once");
  refuse(
      [](EnvelopeLayout& l) {
        packed_in(l).heads = {1, 8, 8};
      },
      "layouts[0].model_heads: 8, and 8 from 1 on are here");
  refuse(
      [](EnvelopeLayout& l) {
        packed_in(l).layers = {1, 3, 8};
      },
      "layouts[0]: holds what an envelope cannot say");
  refuse([](EnvelopeLayout& l) { l.group = "a\n"; }, "layouts[0].group: ");
  refuse([](EnvelopeLayout& l) { l.model = "a\n"; }, "layouts[0].model: ");
  refuse([](EnvelopeLayout& l) { l.model = std::string(257, 'm'); },
         "layouts[0].model: length 257, limit 256");
  const auto refuse_strided = [&](auto change, std::string_view message) {
    refuse(
        [&change](EnvelopeLayout& l) {
          layout::LayoutView::Parts parts = strided();
          change(parts);
          l.description = parts;
        },
        message);
  };
  refuse_strided([](auto& parts) { parts.packing = "cpu"; },
                 "layouts[0].model_heads: 16, where num_heads is not");
  refuse_strided([](auto& parts) { parts.axes[0].origin = 1; },
                 "layouts[0]: holds what an envelope cannot say");
  refuse_strided(
      [](auto& parts) {
        parts.regions = {{1, 1}};
      },
      "layouts[0]: holds what an envelope cannot say");
  refuse_strided([](auto& parts) { parts.first_region = 1; },
                 "layouts[0]: holds what an envelope cannot say");
  refuse_strided([](auto& parts) { parts.inner_dim = 60; },
                 "layouts[0].num_heads: 8 do not divide inner_dim 60");
  refuse([](EnvelopeLayout& l) { l.regions.resize(65'537); },
         "layouts[0].addresses: 65537, limit 65536");
  refuse([](EnvelopeLayout& l) { l.unknown_fields = bytes_of(number_field(1, 1)); },
         "unknown_fields at 0: field 1 is known, as id");
  Envelope twice = small_envelope();
  twice.layouts.push_back(good);
  expect_invalid(twice, "layouts[1].id: 3 is that of another layout too");
  twice.layouts.assign(65'537, good);
  expect_invalid(twice, "layouts: 65537, limit 65536");
}

TEST(Envelope, IsNotWrittenAboveTheLimitOfAMessage) {
  Envelope envelope = small_envelope();
  envelope.agents = {AgentBlob{"a", Bytes(32U << 20U), {}}, AgentBlob{"b", Bytes(32U << 20U), {}}};
  expect_invalid(envelope, "message: a body of ");
}

TEST(Envelope, IsReadWithinTheLimitsOfItsReader) {
  const Bytes bytes = *encode_envelope(small_envelope());
  EXPECT_TRUE(decode_envelope(bytes, {.agent_name_bytes = 7}));
  expect_fails(decode_envelope(bytes, {.agent_name_bytes = 6}), ErrorCode::kCorrupt,
               "name at 57: length 7, limit 6");
  expect_fails(decode_envelope(bytes, {.layouts = 0}), ErrorCode::kCorrupt, "1 and more, limit 0");
}

// Anything may be put behind a right checksum.
TEST(Envelope, OfARandomBodyIsAValueOrAnError) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random{seed};
  const std::string good{[] {
    const Bytes bytes = *encode_envelope(small_envelope());
    return std::string{reinterpret_cast<const char*>(bytes.data()) + 48, bytes.size() - 48};
  }()};
  std::size_t read_well{0};
  for (int round = 0; round < 20'000; ++round) {
    std::string body = good;
    for (std::uint64_t change = 0; change <= random() % 3; ++change) {
      body[random() % body.size()] = static_cast<char>(random());
    }
    body.resize(random() % 4 == 0 ? random() % (body.size() + 1) : body.size());
    const auto read = decode_envelope(framed(body));
    if (!read) {
      ASSERT_TRUE(read.error().code == ErrorCode::kCorrupt ||
                  read.error().code == ErrorCode::kIncompatible);
      continue;
    }
    ++read_well;
    const auto written = encode_envelope(*read);
    ASSERT_TRUE(written) << written.error().message;
    ASSERT_EQ(*decode_envelope(*written), *read);
  }
  EXPECT_GT(read_well, 100U);
}

}  // namespace
}  // namespace kvferry::wire
