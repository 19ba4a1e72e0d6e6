// SPDX-License-Identifier: Apache-2.0
#include "manager/digest_desk.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "kvferry/base/try.hpp"
#include "transfer/digest.hpp"

namespace kvferry::manager {
namespace {

using layout::Axis;
using layout::LayoutView;

/// Questions of one reader, and of all, that wait: several times what a reader asks at a time.
constexpr std::size_t kJobsOfReaderMax = 64;
constexpr std::size_t kJobsMax = 1024;

Error gone(LayoutHandle layout) {
  return Error{ErrorCode::kStale, to_string(layout) + " is not registered (any more)"};
}

/// What a question is about.
Result<LayoutView> part_of(const LayoutView& whole, const wire::AskDigests& asked) {
  KVFERRY_ASSIGN_OR_RETURN(const LayoutView outers,
                           whole.slice(Axis::kOuter, asked.first_outer, asked.outers));
  if (asked.heads != 0) {
    if (whole.is_opaque()) {
      return Error{ErrorCode::kIncompatible, "heads are not told apart here"};
    }
    return outers.slice(Axis::kHead, asked.first_head, asked.heads);
  }
  if (whole.is_opaque()) {
    return outers;
  }
  auto piece = outers.collapsed();
  if (!piece) {
    return Error{ErrorCode::kIncompatible, "the tokens of a block are not one piece here"};
  }
  return *std::move(piece);
}

}  // namespace

DigestDesk::~DigestDesk() { close(); }

void DigestDesk::close() {
  std::deque<Job> left;  // Ends after the mutex.
  std::thread thread;
  {
    const MutexLock lock{mutex_};
    closed_ = true;
    dropped_ = true;
    left.swap(jobs_);
    thread.swap(thread_);
    changed_.notify_all();
  }
  if (thread.joinable()) {
    thread.join();
  }
}

void DigestDesk::take(const ContactPtr& reader, const wire::ControlRequest& request,
                      const wire::AskDigests& asked) {
  auto job = make_job(reader, request, asked);
  if (!job) {
    refuse(reader, request, std::move(job).error());
  } else if (auto added = add(*std::move(job)); !added) {
    refuse(reader, request, std::move(added).error());
  }
}

Result<DigestDesk::Job> DigestDesk::make_job(const ContactPtr& reader,
                                             const wire::ControlRequest& request,
                                             const wire::AskDigests& asked) const {
  LocalLayoutPtr layout = registry_.find_local(asked.layout);
  if (layout == nullptr) {
    return gone(asked.layout);
  }
  if (layout->access == Access::kNone) {
    return Error{ErrorCode::kRefused, to_string(asked.layout) + " is not for peers"};
  }
  transfer::GatePass pass{layout->gate};
  if (!pass.entered()) {
    return gone(asked.layout);
  }
  const layout::Plane* const plane = layout::find_plane(layout->physical->planes(), asked.plane);
  if (plane == nullptr && !asked.plane.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 to_string(asked.layout) + " has no plane of that name"};
  }
  KVFERRY_ASSIGN_OR_RETURN(
      LayoutView part, part_of(plane == nullptr ? layout->physical->view() : plane->view, asked));
  std::vector<DigestBox> boxes{asked.boxes};
  for (DigestBox& box : boxes) {
    box.layer += part.axis(Axis::kLayer).origin;
    KVFERRY_RETURN_IF_ERROR(transfer::check_box(part, box));
  }
  return Job{reader,
             request,
             deadline_after(clock_->now(), asked.duration),
             std::move(layout),
             std::move(pass),
             std::move(part),
             std::move(boxes)};
}

Result<void> DigestDesk::add(Job job) {
  const MutexLock lock{mutex_};
  const auto of_reader = std::ranges::count_if(
      jobs_, [&job](const Job& one) { return one.reader->name() == job.reader->name(); });
  if (static_cast<std::size_t>(of_reader) >= kJobsOfReaderMax || jobs_.size() >= kJobsMax) {
    return Error{ErrorCode::kBusy, "digests: " + std::to_string(of_reader) +
                                       " questions of this reader wait, and " +
                                       std::to_string(jobs_.size()) + " in all"};
  }
  if (!thread_.joinable() && !closed_) {
    try {
      thread_ = std::thread{[this] { run(); }};
    } catch (const std::system_error& failure) {
      return Error{ErrorCode::kUnavailable,
                   std::string{"cannot start a thread: "} + failure.what()};
    }
  }
  jobs_.push_back(std::move(job));
  changed_.notify_all();
  return {};
}

void DigestDesk::refuse(const ContactPtr& reader, const wire::ControlRequest& request, Error why) {
  outbox_->put(reader, {request, std::nullopt, wire::Refused{std::move(why)}});
}

void DigestDesk::drop(const std::string& reader, const wire::ControlRequest& request) {
  std::vector<Job> dropped;  // Ends after the mutex.
  const MutexLock lock{mutex_};
  const auto first = std::stable_partition(jobs_.begin(), jobs_.end(), [&](const Job& one) {
    return one.reader->name() != reader || one.request != request;
  });
  std::move(first, jobs_.end(), std::back_inserter(dropped));
  jobs_.erase(first, jobs_.end());
  if (reader_ == reader && request_ == request) {
    dropped_ = true;
  }
}

void DigestDesk::run() {
  while (true) {
    std::vector<Job> next;  // One, or none.
    {
      const MutexLock lock{mutex_};
      reader_.clear();
      while (jobs_.empty() && !closed_) {
        changed_.wait(mutex_);
      }
      if (closed_) {
        return;
      }
      next.push_back(std::move(jobs_.front()));
      jobs_.pop_front();
      reader_ = next.front().reader->name();
      request_ = next.front().request;
      dropped_ = false;
    }
    carry_out(next.front());
  }
}

bool DigestDesk::is_wanted(const Job& job) const {
  return !dropped_ && clock_->now() < job.deadline;
}

void DigestDesk::carry_out(const Job& job) {
  transfer::Digester digester;
  wire::ToldDigests told;
  told.digests.reserve(job.boxes.size());
  for (const DigestBox& box : job.boxes) {
    if (!is_wanted(job)) {
      return;
    }
    told.digests.push_back(digester.of(job.part, job.layout->physical->region_bases(), box));
  }
  outbox_->put(job.reader, {job.request, std::nullopt, std::move(told)});
}

}  // namespace kvferry::manager
