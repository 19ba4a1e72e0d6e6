// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/waker.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/result.hpp"
#include "kvferry/layout/view.hpp"
#include "kvferry/plan/plan.hpp"
#include "transfer/digest.hpp"

namespace kvferry::transfer {

/// A plan of the data or of a plane: of all layers that move or, where they move one by one, of
/// one.
struct LayerPlan {
  plan::CopyPlan plan;
  std::uint64_t layer{0};  ///< of the whole model; 0 where all layers move together
  std::string plane{};     ///< empty: the data
};

/// Digests that somebody else tells.
///
/// Threads: one at a time.
class DigestTeller {
 public:
  DigestTeller(const DigestTeller&) = delete;
  DigestTeller& operator=(const DigestTeller&) = delete;
  virtual ~DigestTeller() = default;

  /// Most boxes of one ask().
  [[nodiscard]] virtual std::size_t most_boxes() const noexcept = 0;
  /// Whether ask() may be called now; after some take() it may.
  [[nodiscard]] virtual bool may_ask() const = 0;
  /// Asks for digests of `boxes` of a plane, or of the data, as far as `part`, a view of one layer
  /// or more, holds them. `waker` is told when take() may have something new.
  virtual Result<void> ask(const std::string& plane, const layout::LayoutView& part,
                           std::vector<DigestBox> boxes, const std::weak_ptr<Waker>& waker) = 0;
  /// Appends what has been told since the last call, in the order of asking.
  ///
  /// Errors: why none will come.
  virtual Result<void> take(std::vector<Digest>& to) = 0;

 protected:
  DigestTeller() = default;
};

/// What keeps the digests of blocks that are written, for whoever reads them.
///
/// Threads: one at a time.
class DigestKeeper {
 public:
  DigestKeeper(const DigestKeeper&) = delete;
  DigestKeeper& operator=(const DigestKeeper&) = delete;
  virtual ~DigestKeeper() = default;

  virtual Result<void> keep(const std::string& plane, const DigestBox& box,
                            const Digest& digest) = 0;

 protected:
  DigestKeeper() = default;
};

/// Where the digests of one side of a transfer come from.
struct DigestSide {
  std::span<std::byte* const> bases{};  ///< of memory of this process; else empty
  std::unique_ptr<DigestTeller> teller{};
  std::unique_ptr<DigestKeeper> keeper{};  ///< of a destination whose digests are the source's
};

/// Compares the digests of both sides of a transfer whose plans are of one layer each. Its *units*
/// are the destination blocks of the plans, one plan after the other.
///
/// Threads: one at a time.
class Verification {
 public:
  /// A box on both sides: the same bytes of the model.
  struct Pair {
    DigestBox source;
    DigestBox destination;
  };

  Verification(DigestSide source, DigestSide destination)
      : source_{std::move(source)}, destination_{std::move(destination)} {}

  /// To be called first. The plans outlive this.
  void begin(std::span<const LayerPlan> plans, std::weak_ptr<Waker> waker);

  /// The first `units` have arrived: digests of memory are computed at once, while the caches hold
  /// the bytes.
  void arrived(std::size_t units);

  /// Asks, takes what has been told and compares, as far as that goes without waiting.
  ///
  /// Errors: those of tellers and of the keeper.
  [[nodiscard]] Result<void> look();

  /// Whether the destination keeps the source's digests instead of telling its own.
  [[nodiscard]] bool keeps() const noexcept { return destination_.keeper != nullptr; }
  /// How many units, from the first, have been compared.
  [[nodiscard]] std::size_t compared() const noexcept { return compared_; }
  [[nodiscard]] bool done() const noexcept { return compared_ == units_; }
  /// Blocks of compared units that differ, in the order of their finding.
  [[nodiscard]] const std::vector<BlockId>& wrong() const noexcept { return wrong_; }
  /// The first difference; nothing where there is none.
  [[nodiscard]] const std::optional<Error>& difference() const noexcept { return difference_; }
  /// The layer of the first unit that differs.
  [[nodiscard]] std::optional<std::uint64_t> first_wrong_layer() const noexcept {
    return first_wrong_layer_;
  }
  /// Spent in computing.
  [[nodiscard]] Duration time() const noexcept { return time_; }

 private:
  /// A place in the list of units, and in that of their pairs.
  struct At {
    std::size_t plan{0};
    std::size_t block{0};  ///< in the plan's list of destination blocks
    std::size_t unit{0};
  };
  /// What is known of one side, of the pairs that have not been compared yet.
  struct Known {
    std::vector<Digest> digests;
    std::size_t first{0};  ///< of those that are still wanted
    At asked;
  };

  void pairs_at(const At& at, std::vector<Pair>& to) const;
  void step(At& at) const;
  [[nodiscard]] Result<void> ask(DigestSide& side, Known& known, bool is_source);
  [[nodiscard]] Result<void> compare_next(std::span<const Pair> pairs);
  void note_wrong(const Pair& pair, const Digest& source, const Digest& destination);

  Digester digester_;
  DigestSide source_;
  DigestSide destination_;
  std::span<const LayerPlan> plans_;
  std::weak_ptr<Waker> waker_;
  std::size_t units_{0};
  At arrived_;
  At next_;  ///< to be compared
  std::size_t compared_{0};
  Known of_source_;
  Known of_destination_;
  std::vector<BlockId> wrong_;
  std::optional<Error> difference_;
  std::optional<std::uint64_t> first_wrong_layer_;
  Duration time_{};
};

}  // namespace kvferry::transfer
