// SPDX-License-Identifier: Apache-2.0
#include "pieces.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "stream_pieces.hpp"

namespace kvferry::bench {
namespace {

/// The longest software cost of one call that the call case lets pass, in microseconds.
constexpr double kCallBarUs = 2.0;
constexpr int kCallsInARound = 20'000;

std::byte* at(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(address);  // NOLINT(*-int-to-ptr)
}

std::uint64_t address_of(const layout::Layout& layout, const layout::RegionIndex& index) {
  return layout.region(index).value().address;
}

/// How many pieces one layer of one block is.
std::uint64_t outers_apart(const layout::Layout& layout) {
  const bool apart = layout.arrangement() == layout::Arrangement::kLayerSeparateBlockSecond;
  return apart ? layout.config().outer_dim : 1;
}

/// Runs one transfer to its end and keeps the first error.
void transfer_blocks(const Pair& pair, const std::vector<BlockId>& ids,
                     std::optional<Error>& error) {
  const auto transfer = pair.manager->execute_transfer(pair.source, ids, pair.destination, ids);
  if (!transfer) {
    error = error.has_value() ? error : transfer.error();
    return;
  }
  const transfer::TransferReport report = transfer->wait();
  if (!report.ok() && !error.has_value()) {
    error = report.error;
  }
}

/// The windows of `options.blocks` blocks that a walk visits, one after the other.
template <class Make>
auto windows(const CaseOptions& options, Make make) {
  std::vector<decltype(make(std::uint64_t{0}))> all;
  for (std::uint64_t first = 0; first + options.blocks <= options.walk_blocks;
       first += options.blocks) {
    all.push_back(make(first));
  }
  return all;
}

}  // namespace

void copy_pieces(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    std::memcpy(piece.destination, piece.source, piece.bytes);
  }
}

layout::LayoutConfig llama_config(std::uint64_t blocks) {
  return {.num_blocks = blocks,
          .num_layers = 32,
          .outer_dim = 2,
          .page_size = 16,
          .inner_dim = 1024,
          .dtype_width_bytes = 2,
          .inner_shape = layout::InnerShape::kNhd,
          .num_heads = 8};
}

layout::LayoutConfig small_config(std::uint64_t blocks) {
  return {.num_blocks = blocks,
          .num_layers = 1,
          .outer_dim = 1,
          .page_size = 16,
          .inner_dim = 128,
          .dtype_width_bytes = 2,
          .inner_shape = layout::InnerShape::kNhd,
          .num_heads = 1};
}

Result<transfer::PhysicalLayoutPtr> contiguous(const layout::LayoutConfig& config) {
  return transfer::PhysicalLayout::fully_contiguous(config).allocate_system().build();
}

Result<transfer::PhysicalLayoutPtr> layered(const layout::LayoutConfig& config,
                                            layout::BlockDimension dimension) {
  return transfer::PhysicalLayout::layer_separate(config, dimension).allocate_system().build();
}

layout::Layout plain_layout(const transfer::PhysicalLayout& physical) {
  const auto& packed = std::get<layout::PackedLayout>(physical.description());
  const auto regions = physical.view().regions();
  return *layout::Layout::create(packed.config, packed.arrangement,
                                 {regions.begin(), regions.end()});
}

std::vector<Piece> pieces_between(const layout::Layout& source, const layout::Layout& destination,
                                  std::uint64_t first, std::uint64_t blocks) {
  const layout::LayoutConfig& config = source.config();
  const bool whole = source.arrangement() == layout::Arrangement::kFullyContiguous &&
                     destination.arrangement() == layout::Arrangement::kFullyContiguous;
  const std::uint64_t layers = whole ? 1 : config.num_layers;
  const std::uint64_t outers = std::max(outers_apart(source), outers_apart(destination));
  const std::uint64_t bytes = config.block_bytes() / (layers * outers);
  std::vector<Piece> pieces;
  for (std::uint64_t block = first; block < first + blocks; ++block) {
    for (std::uint64_t layer = 0; layer < layers; ++layer) {
      for (std::uint64_t outer = 0; outer < outers; ++outer) {
        const layout::RegionIndex index{BlockId{block}, layer, outer};
        pieces.push_back(
            {at(address_of(destination, index)), at(address_of(source, index)), bytes});
      }
    }
  }
  return pieces;
}

std::vector<BlockId> ids_from(std::uint64_t first, std::uint64_t count) {
  std::vector<BlockId> ids;
  for (std::uint64_t id = first; id < first + count; ++id) {
    ids.push_back(BlockId{id});
  }
  return ids;
}

Result<CaseResult> run_copy_case(const Pair& pair, const CaseOptions& options) {
  const auto ids =
      windows(options, [&options](std::uint64_t first) { return ids_from(first, options.blocks); });
  const auto pieces = windows(options, [&](std::uint64_t first) {
    return pieces_between(pair.baseline_source, pair.baseline_destination, first, options.blocks);
  });
  std::optional<Error> error;
  const auto move = [&] {
    for (const std::vector<BlockId>& window : ids) {
      transfer_blocks(pair, window, error);
    }
  };
  const auto copy = [&pieces](auto copy_window) {
    std::for_each(pieces.begin(), pieces.end(), copy_window);
  };
  const std::uint64_t bytes =
      pair.baseline_source.config().block_bytes() * options.blocks * ids.size();
  // Hot cases are short: enough of them that a round takes some milliseconds.
  const int repetitions =
      static_cast<int>(std::max<std::uint64_t>(1, (std::uint64_t{64} << 20U) / bytes));
  const auto timed = [repetitions](auto work) {
    return [repetitions, work] { return seconds_of(work, repetitions); };
  };
  CaseResult result = measure_beside_best(timed(move),
                                          {{"memcpy", timed([&] { copy(copy_pieces); })},
                                           {"stream copy", timed([&] { copy(stream_pieces); })}},
                                          options.rounds);
  if (error.has_value()) {
    return *std::move(error);
  }
  result.suite = options.suite;
  result.name = options.name;
  result.bytes = bytes;
  result.bar = options.bar;
  result.chart = {options.series, options.blocks * pair.baseline_source.config().block_bytes()};
  set_rates(result);
  return result;
}

Result<CaseResult> run_call_case(const Pair& pair, const CaseOptions& options) {
  const auto ids = ids_from(0, 1);
  const auto pieces = pieces_between(pair.baseline_source, pair.baseline_destination, 0, 1);
  std::optional<Error> error;
  const Work work{[&] { transfer_blocks(pair, ids, error); }, [&] { copy_pieces(pieces); }};
  CaseResult result = measure(work, {options.rounds, kCallsInARound});
  if (error.has_value()) {
    return *std::move(error);
  }
  result.suite = options.suite;
  result.name = options.name;
  result.bytes = pieces.front().bytes;
  result.baseline = "memcpy of the piece, subtracted";
  set_rates(result);
  result.overhead_us = result.seconds.median * (1.0 - result.ratio.median) * 1e6;
  result.bar = kCallBarUs;
  result.ok = result.overhead_us <= result.bar;
  return result;
}

}  // namespace kvferry::bench
