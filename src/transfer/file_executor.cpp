// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "disk/queue.hpp"
#include "transfer/executor.hpp"

namespace kvferry::transfer {
namespace {

/// Posts of one transfer at a time, each of at most a step: with long pieces a post may be a single
/// operation, and one transfer alone is to fill the queue.
constexpr std::size_t kMostPosts = 64;

/// Longest single read or write: as long as disks get faster by it.
constexpr std::uint64_t kMostPieceBytes = std::uint64_t{1} << 20U;

class FileExecutor final : public Executor {
 public:
  explicit FileExecutor(FileCopy copy)
      : copy_{std::move(copy)},
        kept_{std::make_shared<const Kept>(Kept{copy_.on_disk, copy_.keep_alive})} {}

  [[nodiscard]] const std::string& route() const noexcept override { return route_; }
  [[nodiscard]] std::uint64_t largest_post_bytes() const noexcept override { return 0; }
  [[nodiscard]] std::size_t most_posts() const noexcept override { return kMostPosts; }
  [[nodiscard]] bool wakes(agent::RequestId /*id*/) const override { return true; }

  [[nodiscard]] Result<std::optional<agent::RequestId>> post(
      const Posting& posting) const override {
    disk::Request request{copy_.direction, {}, posting.waker, kept_};
    for (const Run& run : posting.runs) {
      append(run, request.pieces);
    }
    if (copy_.direction == disk::Direction::kRead) {
      copy_.queue->read_cached(request.pieces);
      if (request.pieces.empty()) {
        return std::optional<agent::RequestId>{};
      }
    }
    return std::optional{agent::RequestId{copy_.queue->post(std::move(request))}};
  }
  [[nodiscard]] Result<agent::RequestState> poll(agent::RequestId id) const override {
    auto ended = copy_.queue->poll(id.value());
    if (!ended) {
      return std::move(ended).error();
    }
    return *ended ? agent::RequestState::kDone : agent::RequestState::kPending;
  }
  void cancel(agent::RequestId id) const override { copy_.queue->cancel(id.value()); }
  [[nodiscard]] bool quiet(agent::RequestId id) const override {
    return copy_.queue->quiet(id.value());
  }
  void release(agent::RequestId id) const override { copy_.queue->release(id.value()); }
  [[nodiscard]] bool keeps_what_moved() const noexcept override { return true; }
  [[nodiscard]] Result<void> check_owner() const override { return {}; }

 private:
  /// Appends the pieces of a run: neighbours as one, what is too long as several.
  void append(const Run& run, std::vector<disk::Piece>& pieces) const {
    const bool reads = copy_.direction == disk::Direction::kRead;
    const RunEnd& in_file = reads ? run.source : run.destination;
    const RunEnd& in_memory = reads ? run.destination : run.source;
    const disk::File* const file = copy_.on_disk->files()[in_file.region].get();
    const std::uint64_t first =
        copy_.on_disk->regions()[in_file.region].address + in_file.offset_bytes;
    std::byte* const memory = copy_.memory[in_memory.region] + in_memory.offset_bytes;
    for (std::uint64_t i = 0; run.bytes != 0 && i < run.count; ++i) {
      put({file, first + i * in_file.stride_bytes, memory + i * in_memory.stride_bytes, run.bytes},
          pieces);
    }
  }

  static void put(disk::Piece piece, std::vector<disk::Piece>& pieces) {
    if (!pieces.empty()) {
      disk::Piece& last = pieces.back();
      if (last.file == piece.file && last.offset + last.bytes == piece.offset &&
          last.memory + last.bytes == piece.memory && last.bytes + piece.bytes <= kMostPieceBytes) {
        last.bytes += piece.bytes;
        return;
      }
    }
    for (; piece.bytes > kMostPieceBytes; piece.bytes -= kMostPieceBytes) {
      pieces.push_back({piece.file, piece.offset, piece.memory, kMostPieceBytes});
      piece.offset += kMostPieceBytes;
      piece.memory += kMostPieceBytes;
    }
    pieces.push_back(piece);
  }

  /// Of requests in flight, which may outlive the executor.
  struct Kept {
    PhysicalLayoutPtr on_disk;
    std::shared_ptr<const void> memory;
  };

  std::string route_{"file"};
  FileCopy copy_;
  std::shared_ptr<const Kept> kept_;  // shared: with requests in flight
};

}  // namespace

std::unique_ptr<const Executor> make_file_executor(FileCopy copy) {
  return std::make_unique<const FileExecutor>(std::move(copy));
}

}  // namespace kvferry::transfer
