// SPDX-License-Identifier: Apache-2.0
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
#include "demo_report.hpp"
#include "exchange_option.hpp"
#include "files.hpp"
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
constexpr std::string_view kFrom{"fc, nhd"};
constexpr std::string_view kLayered{"ls, nhd"};
constexpr std::string_view kHeaded{"ls2, hnd"};
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
    return pull_blocks(own.manager(), own.layout().view(),
                       {.from = {remote_},
                        .source = std::move(source),
                        .to = own.handle(),
                        .destination = std::move(destination),
                        .layers = layers,
                        .deadline = deadline_after(SteadyClock{}.now(), kStepDeadline)},
                       {.source_page = page_size_});
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return nodes_.front().layout().config().required_bytes();
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
  const auto act = [](std::string title, std::string_view to, TransferStory story) {
    return Act{std::move(title), std::string{kFrom}, std::string{to}, std::move(story)};
  };
  std::vector<Act> acts;
  acts.push_back(act("all blocks, median of 5", kLayered, raced.median));
  std::vector<BlockId> shuffled = ids(kBlocks);
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937{7});
  shuffled.resize(kBlocks / 2);
  acts.push_back(act("half of them, shuffled, layers 0 to 15", kLayered,
                     decode.pull(0, shuffled, ids(kBlocks / 2), {0, 16})));
  acts.push_back(act("all blocks, heads before tokens", kHeaded,
                     decode.pull(1, ids(kBlocks), ids(kBlocks), {})));
  return acts;
}

Outcome<Demo> run() {
  const auto begin = std::chrono::steady_clock::now();
  KVFERRY_ASSIGN_OR_RETURN(const TemporaryDirectory directory, TemporaryDirectory::create());
  const std::string exchange_name = "dir:" + directory.path();
  KVFERRY_ASSIGN_OR_RETURN(
      const Child prefill,
      Child::start({"worker", "--name", "prefill", "--exchange", exchange_name, "--geometry",
                    std::string{kGeometry}, "--layout", "fc", "--num-blocks",
                    std::to_string(kBlocks), "--publish", "a"}));
  KVFERRY_RETURN_IF_ERROR(
      prefill.wait_for_line("ready prefill", deadline_after(begin, kStepDeadline)));
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange, open_exchange(exchange_name));
  KVFERRY_ASSIGN_OR_RETURN(
      const PeerMessage peer,
      fetch_peer(*exchange, "prefill", deadline_after(SteadyClock{}.now(), kStepDeadline)));
  KVFERRY_ASSIGN_OR_RETURN(const Decode decode, Decode::create(peer));
  Demo demo;
  demo.geometry = kGeometry;
  demo.blocks = kBlocks;
  demo.processes = {{prefill.process(), "prefill", {std::string{kFrom}}},
                    {::getpid(), "decode", {std::string{kLayered}, std::string{kHeaded}}}};
  demo.message_bytes = peer.message.len();
  demo.race = race(decode);
  demo.acts = play(decode, demo.race);
  demo.seconds = std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
  return demo;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  catch_interruption();
  const Outcome<Demo> demo = run();
  if (!demo) {
    return fail(demo.error(), options.json);
  }
  options.json ? print_json(json_of(*demo)) : print(text_of(*demo));
  if (options.report) {
    const Result<void> written = write_output(*options.report, html_of(*demo));
    if (!written) {
      return fail(written.error());
    }
  }
  for (const Act& act : demo->acts) {
    if (!act.story.report.ok()) {
      return fail(*act.story.report.error);
    }
  }
  return kExitYes;
}

}  // namespace kvferry::tool
