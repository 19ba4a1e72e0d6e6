// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "child.hpp"
#include "commands.hpp"
#include "exchange_option.hpp"
#include "interruption.hpp"
#include "kvferry/base/try.hpp"
#include "node.hpp"
#include "output.hpp"
#include "publishing.hpp"
#include "pull.hpp"

namespace kvferry::tool {
namespace {

constexpr std::uint64_t kBlocks = 64;
constexpr std::uint64_t kHeads = 8;  ///< of llama-3.1-8b, which format A does not tell
constexpr std::string_view kGeometry{"llama-3.1-8b"};
constexpr std::chrono::seconds kStepDeadline{10};

/// A directory that goes away with this object.
class TemporaryDirectory {
 public:
  [[nodiscard]] static Result<TemporaryDirectory> create() {
    std::error_code failure;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(failure);
    if (failure) {
      return Error{ErrorCode::kUnavailable,
                   "no directory for temporary files: " + failure.message()};
    }
    std::string path = (parent / "kvferry-demo-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      return Error{ErrorCode::kUnavailable, "cannot make a directory like " + path};
    }
    return TemporaryDirectory{std::move(path)};
  }
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_{std::exchange(other.path_, {})} {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_{std::move(path)} {}
  std::string path_;
};

/// One transfer of the demo, and between which layouts.
struct Act {
  std::string title;
  std::string from;
  std::string to;
  TransferStory story;
};

/// The first transfer beside memcpy of as many bytes, in turns.
struct Race {
  TransferStory median;  ///< of all rounds
  double memcpy_gb_per_s{0};
  double ratio{0};  ///< of the rates, round by round; the median
};

struct Demo {
  pid_t prefill{0};
  std::uint64_t message_bytes{0};
  Race race;
  std::vector<Act> acts;
  double seconds{0};

  [[nodiscard]] bool ok() const {
    return std::all_of(acts.begin(), acts.end(),
                       [](const Act& act) { return act.story.report.ok(); });
  }
};

std::vector<BlockId> ids(std::uint64_t count) {
  std::vector<BlockId> all;
  for (std::uint64_t id = 0; id < count; ++id) {
    all.push_back(BlockId{id});
  }
  return all;
}

/// Between two buffers that were written before, in pieces of the size that the transfer's runs
/// have.
class Memcpy {
 public:
  explicit Memcpy(std::uint64_t bytes)
      : source_(bytes, std::byte{1}), destination_(bytes, std::byte{2}) {}

  [[nodiscard]] double gb_per_s() {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t at = 0; at + kPieceBytes <= source_.size(); at += kPieceBytes) {
      std::memcpy(destination_.data() + at, source_.data() + at, kPieceBytes);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(source_.size()) / taken.count() / 1e9;
  }

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{64} << 10U;

  std::vector<std::byte> source_;
  std::vector<std::byte> destination_;
};

double median_of(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  return figures[figures.size() / 2];
}

NodeOptions decode_options(const std::string& name, const std::string& layout,
                           const std::string& order) {
  NodeOptions options;
  options.name = name;
  options.geometry = kGeometry;
  options.layout = layout;
  options.order = order;
  options.access = "none";
  options.fill = "zero";
  return options;
}

/// Everything that happens in this process, the decode worker's.
class Decode {
 public:
  [[nodiscard]] static Outcome<Decode> create(const PeerMessage& peer) {
    Decode decode;
    KVFERRY_ASSIGN_OR_RETURN(Node layered,
                             Node::create(decode_options("decode", "ls", "nhd"), kBlocks));
    KVFERRY_ASSIGN_OR_RETURN(Node headed,
                             Node::create(decode_options("decode-hnd", "ls2", "hnd"), kBlocks));
    decode.nodes_.push_back(std::move(layered));
    decode.nodes_.push_back(std::move(headed));
    for (const Node& node : decode.nodes_) {
      KVFERRY_ASSIGN_OR_RETURN(
          const auto handles,
          node.manager().import_metadata(
              peer.message, {.assume = {.num_heads = kHeads}, .deadline = kStepDeadline}));
      decode.remote_ = handles.front();
    }
    decode.page_size_ = peer.page_size;
    return decode;
  }

  [[nodiscard]] TransferStory pull(std::size_t node, std::vector<BlockId> source,
                                   std::vector<BlockId> destination,
                                   plan::LayerRange layers) const {
    const Node& own = nodes_[node];
    TransferStory story =
        pull_blocks(own.manager(), own.layout().view(), remote_,
                    {.local = own.handle(),
                     .source = std::move(source),
                     .destination = std::move(destination),
                     .layers = layers,
                     .deadline = deadline_after(SteadyClock{}.now(), kStepDeadline),
                     .source_page = page_size_});
    story.assumed = "heads=" + std::to_string(kHeads);
    return story;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return nodes_.front().layout().layout().config().required_bytes();
  }

 private:
  Decode() = default;

  std::vector<Node> nodes_;  ///< layer separate nhd, and block second hnd
  LayoutHandle remote_{};
  std::uint64_t page_size_{0};
};

/// A transfer that fails ends the race: its story is the one that is told.
Race race(const Decode& decode) {
  constexpr int kRounds = 5;
  Memcpy baseline{decode.bytes()};
  std::vector<TransferStory> stories;
  std::vector<double> rates;
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    rates.push_back(baseline.gb_per_s());
    stories.push_back(decode.pull(0, ids(kBlocks), ids(kBlocks), {}));
    if (!stories.back().report.ok()) {
      return {stories.back(), rates.back(), 0};
    }
    ratios.push_back(gb_per_s(stories.back().report) / rates.back());
  }
  std::sort(stories.begin(), stories.end(), [](const TransferStory& a, const TransferStory& b) {
    return a.report.transfer_time < b.report.transfer_time;
  });
  return {stories[kRounds / 2], median_of(rates), median_of(ratios)};
}

std::vector<Act> play(const Decode& decode, const Race& raced) {
  constexpr std::string_view kFrom{"fc, nhd"};
  std::vector<Act> acts;
  acts.push_back({"all blocks, median of 5", std::string{kFrom}, "ls, nhd", raced.median});
  std::vector<BlockId> shuffled = ids(kBlocks);
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937{7});
  shuffled.resize(kBlocks / 2);
  acts.push_back({"half of them, shuffled, layers 0 to 15", std::string{kFrom}, "ls, nhd",
                  decode.pull(0, shuffled, ids(kBlocks / 2), {0, 16})});
  acts.push_back({"all blocks, heads before tokens", std::string{kFrom}, "ls2, hnd",
                  decode.pull(1, ids(kBlocks), ids(kBlocks), {})});
  return acts;
}

Outcome<Demo> run() {
  const auto begin = std::chrono::steady_clock::now();
  KVFERRY_ASSIGN_OR_RETURN(const TemporaryDirectory directory, TemporaryDirectory::create());
  const std::string exchange_name = "dir:" + directory.path();
  KVFERRY_ASSIGN_OR_RETURN(const Child prefill,
                           Child::start({"worker", "--name", "prefill", "--exchange", exchange_name,
                                         "--geometry", std::string{kGeometry}, "--layout", "fc",
                                         "--num-blocks", std::to_string(kBlocks)}));
  KVFERRY_RETURN_IF_ERROR(
      prefill.wait_for_line("ready prefill", deadline_after(begin, kStepDeadline)));
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange, open_exchange(exchange_name));
  KVFERRY_ASSIGN_OR_RETURN(const PeerMessage peer, fetch_peer(*exchange, "prefill"));
  KVFERRY_ASSIGN_OR_RETURN(const Decode decode, Decode::create(peer));
  Demo demo;
  demo.prefill = prefill.process();
  demo.message_bytes = peer.message.len();
  demo.race = race(decode);
  demo.acts = play(decode, demo.race);
  demo.seconds = std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
  return demo;
}

void print_demo_json(const Demo& demo) {
  nlohmann::ordered_json transfers = nlohmann::ordered_json::array();
  for (const Act& act : demo.acts) {
    nlohmann::ordered_json transfer{{"title", act.title}, {"from", act.from}, {"to", act.to}};
    transfer.update(json_of(act.story));
    transfers.push_back(std::move(transfer));
  }
  print_json({{"ok", demo.ok()},
              {"geometry", kGeometry},
              {"processes",
               {{{"pid", demo.prefill}, {"role", "prefill"}, {"layouts", {"fc, nhd"}}},
                {{"pid", ::getpid()}, {"role", "decode"}, {"layouts", {"ls, nhd", "ls2, hnd"}}}}},
              {"message", {{"format", "A"}, {"bytes", demo.message_bytes}}},
              {"memcpy_gb_per_s", demo.race.memcpy_gb_per_s},
              {"ratio", demo.race.ratio},
              {"seconds", demo.seconds},
              {"transfers", std::move(transfers)}});
}

void print_demo_text(const Demo& demo) {
  print(fmt::format("prefill  process {}: {} blocks of {}, fully contiguous, nhd\n", demo.prefill,
                    kBlocks, kGeometry));
  print(fmt::format("decode   process {}: the same, layer separate: nhd, and hnd block second\n",
                    ::getpid()));
  print(fmt::format("message  {} bytes of format A, through a directory\n\n", demo.message_bytes));
  Table table{
      {"transfer", "from", "to", "blocks", "bytes", "runs before", "after", "ms", "GB/s", "check"}};
  for (const Act& act : demo.acts) {
    const transfer::TransferReport& report = act.story.report;
    table.add_row(
        {act.title, act.from, act.to, std::to_string(act.story.blocks),
         human_bytes(report.bytes_moved), std::to_string(report.plan.runs_before),
         std::to_string(report.plan.runs),
         fmt::format("{:.1f}", std::chrono::duration<double>{report.transfer_time}.count() * 1e3),
         fmt::format("{:.1f}", gb_per_s(report)),
         report.ok() ? "every byte checked" : report.error->message});
  }
  print(table.to_string());
  print(
      fmt::format("\nmemcpy of as many bytes in pieces of 64 KiB, in turns with the first: {:.1f} "
                  "GB/s; ratio {:.2f}\n",
                  demo.race.memcpy_gb_per_s, demo.race.ratio));
  print(fmt::format("{} in {:.1f} s\n", demo.ok() ? "all right" : "NOT right", demo.seconds));
}

}  // namespace

int run_demo(const DemoOptions& options) {
  catch_interruption();
  const Outcome<Demo> demo = run();
  if (!demo) {
    return fail(demo.error(), options.json);
  }
  options.json ? print_demo_json(*demo) : print_demo_text(*demo);
  for (const Act& act : demo->acts) {
    if (!act.story.report.ok()) {
      return fail(*act.story.report.error);
    }
  }
  return kExitYes;
}

}  // namespace kvferry::tool
