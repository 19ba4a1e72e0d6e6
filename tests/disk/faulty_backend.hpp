// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/mutex.hpp"
#include "disk/backend.hpp"

namespace kvferry::testing {

/// How many of a thousand operations get what, from a seed.
struct IoFaults {
  std::uint64_t seed{1};
  int shortened{0};  ///< move a part only
  int again{0};      ///< move nothing, and may be tried again
  int doubled{0};    ///< their end is told twice
  /// The operation, counted from 1, that ends with `error`; 0: none.
  std::uint64_t fails{0};
  int error{EIO};
  /// Likewise one whose end is never told.
  std::uint64_t lost{0};
};

/// Stands before another backend and makes things go wrong as file systems and disks do.
class FaultyBackend final : public disk::Backend {
 public:
  FaultyBackend(std::unique_ptr<disk::Backend> inner, const IoFaults& faults)
      : inner_{std::move(inner)}, faults_{faults}, random_{faults.seed} {}

  [[nodiscard]] std::string_view name() const noexcept override { return inner_->name(); }

  void submit(std::span<const disk::Operation> operations) override {
    std::vector<disk::Operation> passed;
    {
      const MutexLock lock{mutex_};
      for (disk::Operation operation : operations) {
        if (++count_ == faults_.fails) {
          made_up_.push_back({operation.tag, -faults_.error});
        } else if (strikes(faults_.again)) {
          made_up_.push_back({operation.tag, -EAGAIN});
        } else {
          if (strikes(faults_.shortened) && operation.memory.size() > 1) {
            operation.memory =
                operation.memory.first(1 + random_() % (operation.memory.size() - 1));
          }
          if (count_ == faults_.lost) {
            lost_ = operation.tag;
          }
          passed.push_back(operation);
        }
      }
    }
    inner_->submit(passed);
    if (passed.size() != operations.size()) {
      inner_->wake();
    }
  }

  [[nodiscard]] std::size_t wait(std::span<disk::Ended> ended) override {
    if (const std::size_t count = take_made_up(ended); count != 0) {
      return count;
    }
    const std::size_t count = inner_->wait(ended);
    const MutexLock lock{mutex_};
    std::size_t kept{0};
    for (const disk::Ended& one : std::vector<disk::Ended>{
             ended.begin(), ended.begin() + static_cast<std::ptrdiff_t>(count)}) {
      if (lost_ == one.tag) {
        lost_.reset();
        continue;
      }
      ended[kept++] = one;
      if (strikes(faults_.doubled)) {
        made_up_.push_back(one);
      }
    }
    return kept;
  }

  void wake() override { inner_->wake(); }

 private:
  std::size_t take_made_up(std::span<disk::Ended> ended) {
    const MutexLock lock{mutex_};
    std::size_t count{0};
    for (; count < ended.size() && !made_up_.empty(); ++count) {
      ended[count] = made_up_.front();
      made_up_.pop_front();
    }
    return count;
  }
  bool strikes(int of_a_thousand) KVFERRY_REQUIRES(mutex_) {
    return static_cast<int>(random_() % 1000) < of_a_thousand;
  }

  std::unique_ptr<disk::Backend> inner_;
  Mutex mutex_;
  const IoFaults faults_;
  std::mt19937_64 random_ KVFERRY_GUARDED_BY(mutex_);
  std::uint64_t count_ KVFERRY_GUARDED_BY(mutex_){0};
  std::optional<std::uint64_t> lost_ KVFERRY_GUARDED_BY(mutex_);
  std::deque<disk::Ended> made_up_ KVFERRY_GUARDED_BY(mutex_);
};

}  // namespace kvferry::testing
