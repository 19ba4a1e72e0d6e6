// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "kvferry/agent/shm_agent.hpp"
#include "kvferry/base/try.hpp"
#include "pieces.hpp"
#include "suites.hpp"

namespace kvferry::bench {
namespace {

using transfer::PhysicalLayoutPtr;

constexpr std::array<std::uint64_t, 3> kBlocks{1, 8, 64};
constexpr double kCopyBar = 0.85;  ///< of memcpy out of the same memory

Error system_error(std::string_view what) {
  return Error{ErrorCode::kUnavailable, std::string{what} + ": " + std::strerror(errno)};
}

/// A worker's parts: what the owner of the source and the puller both need.
struct Worker {
  std::shared_ptr<agent::Agent> agent;
  std::unique_ptr<manager::TransportManager> manager;
};

Result<Worker> make_worker(std::uint64_t id, const std::string& socket_directory) {
  const std::string name = "bench-" + std::to_string(::getpid());
  KVFERRY_ASSIGN_OR_RETURN(
      const std::shared_ptr<agent::Agent> agent,
      agent::ShmAgent::create({.name = name, .socket_directory = socket_directory}));
  KVFERRY_ASSIGN_OR_RETURN(auto manager,
                           manager::TransportManager::create(
                               {.worker_id = WorkerId{id}, .agent = agent, .copy_threads = 1}));
  return Worker{agent, std::move(manager)};
}

/// What the owner tells the puller before its message: how the baseline can map its memory.
struct Announcement {
  std::uint64_t message_bytes{0};
  std::int32_t descriptor{-1};  ///< of the large layout's memory, in the owner's process
};

/// The owner: publishes two layouts through `out`, then lives until `in` closes.
Result<void> own(const SuiteOptions& options, std::uint64_t walk, int out, int in) {
  KVFERRY_ASSIGN_OR_RETURN(const Worker worker, make_worker(1, options.socket_directory));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr large, layered(llama_config(walk)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr small, contiguous(small_config(4)));
  std::memset(large->memories()[0]->bytes().data(), 1, large->memories()[0]->bytes().size());
  KVFERRY_RETURN_IF_ERROR(worker.manager->register_layout(large));
  KVFERRY_RETURN_IF_ERROR(worker.manager->register_layout(small));
  KVFERRY_ASSIGN_OR_RETURN(const auto message, worker.manager->export_metadata());
  const Announcement told{message.len(), large->memories()[0]->shared_file()->descriptor};
  if (::write(out, &told, sizeof told) != sizeof told ||
      ::write(out, message.as_bytes().data(), message.len()) !=
          static_cast<ssize_t>(message.len())) {
    return system_error("write to the puller");
  }
  char nothing{};
  static_cast<void>(::read(in, &nothing, 1));  // Ends when the puller closes its side.
  return {};
}

Result<void> read_all(int in, void* bytes, std::size_t count) {
  auto* to = static_cast<std::byte*>(bytes);
  while (count != 0) {
    const ssize_t got = ::read(in, to, count);
    if (got <= 0) {
      return system_error("read from the owner");
    }
    to += got;
    count -= static_cast<std::size_t>(got);
  }
  return {};
}

/// The other process; ends with this object.
class Owner {
 public:
  [[nodiscard]] static Result<Owner> start(const SuiteOptions& options, std::uint64_t walk) {
    std::array<int, 2> up{};
    std::array<int, 2> down{};
    if (::pipe2(up.data(), O_CLOEXEC) != 0 || ::pipe2(down.data(), O_CLOEXEC) != 0) {
      return system_error("pipe");
    }
    const pid_t child = ::fork();
    if (child < 0) {
      return system_error("fork");
    }
    if (child == 0) {
      ::close(up[0]);
      ::close(down[1]);
      const bool done = own(options, walk, up[1], down[0]).has_value();
      ::_exit(done ? 0 : 1);
    }
    ::close(up[1]);
    ::close(down[0]);
    return Owner{child, up[0], down[1]};
  }
  Owner(Owner&& other) noexcept
      : process_{std::exchange(other.process_, -1)}, in_{other.in_}, out_{other.out_} {}
  Owner& operator=(Owner&&) = delete;
  ~Owner() {
    if (process_ > 0) {
      ::close(in_);
      ::close(out_);
      ::waitpid(process_, nullptr, 0);
    }
  }

  [[nodiscard]] int in() const noexcept { return in_; }
  [[nodiscard]] pid_t process() const noexcept { return process_; }

 private:
  Owner(pid_t process, int in, int out) : process_{process}, in_{in}, out_{out} {}

  pid_t process_;
  int in_;
  int out_;
};

/// The owner's memory as the baseline reads it: mapped by hand, populated.
Result<std::uint64_t> map_by_hand(const Owner& owner, int descriptor, std::uint64_t bytes) {
  const std::string path =
      "/proc/" + std::to_string(owner.process()) + "/fd/" + std::to_string(descriptor);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return system_error(path);
  }
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) {
    return system_error("mmap");
  }
  return reinterpret_cast<std::uintptr_t>(mapped);
}

/// The layout of the owner, as it lies in a mapping that begins at `base`.
Result<layout::Layout> in_mapping(const layout::LayoutConfig& config, std::uint64_t base) {
  std::vector<Region> regions;
  KVFERRY_ASSIGN_OR_RETURN(const auto sizes,
                           required_regions(config, layout::Arrangement::kLayerSeparateBlockFirst));
  for (const std::uint64_t size : sizes) {
    regions.push_back({base, size});
    base += size;  // A multiple of 4096 for this shape, so nothing lies between two regions.
  }
  return layout::Layout::create(config, layout::Arrangement::kLayerSeparateBlockFirst,
                                std::move(regions));
}

Result<std::vector<CaseResult>> pull(const SuiteOptions& options, const Owner& owner,
                                     std::uint64_t walk) {
  Announcement told;
  KVFERRY_RETURN_IF_ERROR(read_all(owner.in(), &told, sizeof told));
  std::vector<std::byte> bytes(told.message_bytes);
  KVFERRY_RETURN_IF_ERROR(read_all(owner.in(), bytes.data(), bytes.size()));
  KVFERRY_ASSIGN_OR_RETURN(const Worker worker, make_worker(2, options.socket_directory));
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<LayoutHandle> remote,
      worker.manager->import_metadata(wire::SerializedLayout::from_bytes(std::move(bytes)),
                                      {.deadline = std::chrono::seconds{30}}));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr large, contiguous(llama_config(walk)));
  KVFERRY_ASSIGN_OR_RETURN(const PhysicalLayoutPtr small, contiguous(small_config(4)));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle to_large, worker.manager->register_layout(large));
  KVFERRY_ASSIGN_OR_RETURN(const LayoutHandle to_small, worker.manager->register_layout(small));
  const layout::LayoutConfig config = llama_config(walk);
  KVFERRY_ASSIGN_OR_RETURN(const std::uint64_t base,
                           map_by_hand(owner, told.descriptor, config.required_bytes()));
  KVFERRY_ASSIGN_OR_RETURN(const layout::Layout mapped, in_mapping(config, base));

  const int rounds = options.quick ? 5 : 11;
  const Pair pieces{worker.manager.get(), remote[0], to_large, mapped, plain_layout(*large)};
  std::vector<CaseResult> results;
  for (const std::uint64_t blocks : kBlocks) {
    const CaseOptions one{"shm",
                          "pull ls->fc, 64 KiB pieces, " + std::to_string(blocks) + " blocks cold",
                          blocks,
                          walk,
                          rounds,
                          kCopyBar,
                          "pull ls->fc, cold"};
    KVFERRY_ASSIGN_OR_RETURN(CaseResult result, run_copy_case(pieces, one));
    results.push_back(std::move(result));
  }
  // The baseline copies the piece inside this process: it only takes the copy's own time away.
  const Pair call{worker.manager.get(), remote[1], to_small, plain_layout(*small),
                  plain_layout(*large)};
  KVFERRY_ASSIGN_OR_RETURN(
      CaseResult result,
      run_call_case(call, {"shm", "one 4 KiB piece, software", 1, 1, rounds, 0}));
  results.push_back(std::move(result));
  ::munmap(reinterpret_cast<void*>(base), config.required_bytes());  // NOLINT(*-int-to-ptr)
  return results;
}

}  // namespace

Result<std::vector<CaseResult>> run_shm_suite(const SuiteOptions& options) {
  const std::uint64_t walk = options.quick ? 64 : 256;  // 128 or 512 MiB
  KVFERRY_ASSIGN_OR_RETURN(const Owner owner, Owner::start(options, walk));
  return pull(options, owner, walk);
}

}  // namespace kvferry::bench
