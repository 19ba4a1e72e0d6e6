// SPDX-License-Identifier: Apache-2.0
#include "raw_ring.hpp"

#include <sys/uio.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace kvferry::bench {
namespace {

/// What newer kernels do less for a ring that one thread uses, the most first.
constexpr std::array<unsigned, 2> kFlags{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                         0};

Error failure(const char* what, int result) {
  return Error{ErrorCode::kUnavailable, std::string{what} + ": " + std::strerror(-result)};
}

}  // namespace

Result<RawRing> RawRing::open(const RawRingOptions& options) {
  int made{0};
  auto bare = std::make_unique<io_uring>();
  for (const unsigned flags : kFlags) {
    made = io_uring_queue_init(options.depth, bare.get(), flags);
    if (made == 0) {
      break;
    }
  }
  if (made < 0) {
    return failure("io_uring", made);
  }
  std::unique_ptr<io_uring, Exit> ring{bare.release()};
  if (const int told = io_uring_register_files(ring.get(), &options.descriptor, 1); told < 0) {
    return failure("register the file", told);
  }
  if (!options.registered.empty()) {
    const iovec all{options.registered.data(), options.registered.size()};
    if (const int told = io_uring_register_buffers(ring.get(), &all, 1); told < 0) {
      return failure("register the memory", told);
    }
  }
  return RawRing{std::move(ring), options};
}

void RawRing::prepare(const FilePiece& piece) {
  io_uring_sqe* const entry = io_uring_get_sqe(ring_.get());
  const auto bytes = static_cast<unsigned>(piece.bytes);
  if (options_.registered.empty()) {
    options_.is_write ? io_uring_prep_write(entry, 0, piece.memory, bytes, piece.offset)
                      : io_uring_prep_read(entry, 0, piece.memory, bytes, piece.offset);
  } else {
    options_.is_write ? io_uring_prep_write_fixed(entry, 0, piece.memory, bytes, piece.offset, 0)
                      : io_uring_prep_read_fixed(entry, 0, piece.memory, bytes, piece.offset, 0);
  }
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, piece.bytes);
}

std::optional<Error> RawRing::move(const std::vector<FilePiece>& pieces) {
  std::optional<Error> error;
  std::size_t begun{0};
  std::size_t ended{0};
  while (ended != pieces.size()) {
    for (; begun != pieces.size() && begun - ended != options_.depth; ++begun) {
      prepare(pieces[begun]);
    }
    io_uring_submit_and_wait(ring_.get(), 1);
    unsigned seen{0};
    unsigned head{0};
    io_uring_cqe* entry{nullptr};
    io_uring_for_each_cqe(ring_.get(), head, entry) {
      ++seen;
      const bool whole =
          entry->res >= 0 && static_cast<std::uint64_t>(entry->res) == entry->user_data;
      if (!whole && !error) {
        error = failure("a piece", entry->res < 0 ? entry->res : -EIO);
      }
    }
    io_uring_cq_advance(ring_.get(), seen);
    ended += seen;
  }
  return error;
}

}  // namespace kvferry::bench
