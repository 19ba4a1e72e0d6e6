// SPDX-License-Identifier: Apache-2.0
#include "kvferry/agent/shm_agent.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/fork_guard.hpp"
#include "agent/remote_memory.hpp"
#include "agent/shm_blob.hpp"
#include "agent/shm_connection.hpp"
#include "agent/shm_registry.hpp"
#include "agent/shm_server.hpp"
#include "agent/shm_side.hpp"
#include "agent/unix_socket.hpp"
#include "base/mutex.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/try.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string quoted(std::string_view name) { return "\"" + std::string{name} + "\""; }

/// What is known of one peer at one moment; an update makes another one.
struct PeerView {
  std::string name;
  memory::Nonce instance{};
  std::shared_ptr<ShmConnection> connection;
  std::vector<RemoteMemoryPtr> memories;  ///< ascending by address
};
// Shared by the table of peers and calls that are using it; either may be the last.
using PeerViewPtr = std::shared_ptr<const PeerView>;

/// All that an agent is made of, in one piece that a forked child leaves alone.
struct State {
  explicit State(std::size_t memory_count_max) : registry{memory_count_max} {}

  ShmRegistry registry;
  std::unique_ptr<ShmServer> server;  // After the registry, which it uses.
  mutable Mutex mutex;
  std::map<std::uint64_t, PeerViewPtr> peers KVFERRY_GUARDED_BY(mutex);
  std::uint64_t next_peer KVFERRY_GUARDED_BY(mutex){1};
};

class ShmAgentObject final : public ShmAgent {
 public:
  ShmAgentObject(ShmAgentOptions options, std::unique_ptr<ForkGuard> guard,
                 std::unique_ptr<State> state);
  ~ShmAgentObject() override;

  [[nodiscard]] const std::string& name() const noexcept override { return options_.name; }
  [[nodiscard]] const AgentFacts& facts() const noexcept override { return facts_; }

  Result<RegistrationId> register_memory(memory::MemoryPtr memory, Access access) override;
  Result<void> deregister_memory(RegistrationId id) override;
  Result<std::vector<std::byte>> local_metadata() const override;
  Result<std::vector<std::byte>> contact_metadata() const override;
  Result<PeerId> load_peer(std::string_view name, std::span<const std::byte> blob,
                           TimePoint deadline) override;
  Result<void> update_peer(PeerId peer, std::span<const std::byte> blob,
                           TimePoint deadline) override;
  Result<void> forget_peer(PeerId peer) override;
  [[nodiscard]] Liveness liveness(PeerId peer) const override;
  [[nodiscard]] std::optional<std::int32_t> process_of(PeerId peer) const override;
  Result<PreparedSidePtr> prepare_local(std::span<const Region> regions) override;
  Result<PreparedSidePtr> prepare_remote(PeerId peer, std::span<const Region> regions) override;
  Result<std::optional<RequestId>> post(const Request& request) override;

  // A request is done when post() returns, so none is ever known.
  Result<RequestState> poll(RequestId id) override {
    return invalid("request " + std::to_string(id.value()) + " is not known");
  }
  void cancel(RequestId /*id*/) override {}
  bool quiet(RequestId /*id*/) override { return true; }
  void release(RequestId /*id*/) override {}

  Result<void> notify(PeerId peer, std::span<const std::byte> message, TimePoint deadline) override;
  std::vector<Notification> take_notifications() override;
  Result<void> wait(TimePoint deadline) override;
  void wake() override;

 private:
  [[nodiscard]] Result<void> refuse_in_child() const;
  [[nodiscard]] TimePoint machine_time(TimePoint deadline) const;
  [[nodiscard]] Result<PeerViewPtr> find(PeerId peer) const;
  [[nodiscard]] ShmBlob describe(std::vector<BlobMemory> memories) const;
  [[nodiscard]] Result<void> check_name_is_free(std::string_view name) const
      KVFERRY_REQUIRES(state_->mutex);
  [[nodiscard]] Result<ShmBlob> read_blob(std::string_view name,
                                          std::span<const std::byte> blob) const;
  [[nodiscard]] Result<PeerViewPtr> contact(const ShmBlob& blob, const PeerView* before,
                                            TimePoint until) const;
  [[nodiscard]] Result<std::vector<RemoteMemoryPtr>> reach(const std::vector<BlobMemory>& told,
                                                           ShmConnection& connection,
                                                           TimePoint until) const;

  ShmAgentOptions options_;
  AgentFacts facts_;
  std::unique_ptr<ForkGuard> guard_;
  std::unique_ptr<State> state_;
};

void set_stale_except(const PeerView& before, const std::vector<RemoteMemoryPtr>& kept) {
  for (const RemoteMemoryPtr& memory : before.memories) {
    if (std::find(kept.begin(), kept.end(), memory) == kept.end()) {
      memory->set_stale();
    }
  }
}

ShmAgentObject::ShmAgentObject(ShmAgentOptions options, std::unique_ptr<ForkGuard> guard,
                               std::unique_ptr<State> state)
    : options_{std::move(options)}, guard_{std::move(guard)}, state_{std::move(state)} {
  facts_.kind = "shm";
  facts_.reads = true;
  facts_.writes = true;
  facts_.storage_kinds = {StorageKind::Type::kSystem};
}

ShmAgentObject::~ShmAgentObject() {
  if (guard_->is_child()) {
    // The thread is not here, its locks may be held for ever, and the socket is the parent's:
    // nothing of this can be ended, so it is leaked to the end of the process.
    (void)state_.release();
    return;
  }
  const MutexLock lock{state_->mutex};
  for (const auto& [id, view] : state_->peers) {
    set_stale_except(*view, {});
  }
}

Result<void> ShmAgentObject::refuse_in_child() const {
  if (guard_->is_child()) [[unlikely]] {
    return Error{ErrorCode::kRefused, "agent " + quoted(options_.name) +
                                          " was made before fork(): make another one in the child"};
  }
  return {};
}

/// Deadlines come on the caller's clock; the kernel waits by the machine's.
TimePoint ShmAgentObject::machine_time(TimePoint deadline) const {
  if (options_.clock == nullptr) {
    return deadline;
  }
  const TimePoint now = options_.clock->now();
  const TimePoint machine_now = std::chrono::steady_clock::now();
  return deadline <= now ? machine_now : deadline_after(machine_now, deadline - now);
}

Result<PeerViewPtr> ShmAgentObject::find(PeerId peer) const {
  const MutexLock lock{state_->mutex};
  const auto found = state_->peers.find(peer.value());
  if (found == state_->peers.end()) {
    return Error{ErrorCode::kStale, "peer " + std::to_string(peer.value()) + " is not loaded"};
  }
  return found->second;
}

Result<RegistrationId> ShmAgentObject::register_memory(memory::MemoryPtr memory, Access access) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  return state_->registry.add(std::move(memory), access);
}

Result<void> ShmAgentObject::deregister_memory(RegistrationId id) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  return state_->registry.remove(id);
}

/// Random bits of this start of the machine, or zeros where it does not tell.
std::array<std::byte, 16> boot_id() {
  const UniqueFd file{open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)};
  std::array<char, 36> text{};
  std::array<std::byte, 16> id{};
  if (!file || read(file.get(), text.data(), text.size()) != ssize_t{text.size()}) {
    return id;
  }
  std::size_t digit = 0;
  for (const char c : text) {
    const bool is_letter = c >= 'a' && c <= 'f';
    if ((is_letter || (c >= '0' && c <= '9')) && digit < 2 * id.size()) {
      const auto value = static_cast<std::byte>(is_letter ? c - 'a' + 10 : c - '0');
      id[digit / 2] = (id[digit / 2] << 4U) | value;
      ++digit;
    }
  }
  return id;
}

ShmBlob ShmAgentObject::describe(std::vector<BlobMemory> memories) const {
  ShmBlob blob;
  blob.name = options_.name;
  blob.socket_path = state_->server->options().socket_path;
  blob.instance = state_->server->options().instance;
  blob.boot = boot_id();
  blob.user = geteuid();
  blob.process = static_cast<std::uint32_t>(getpid());
  blob.memories = std::move(memories);
  return blob;
}

Result<std::vector<std::byte>> ShmAgentObject::local_metadata() const {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  return encode_blob(describe(state_->registry.table()));
}

Result<std::vector<std::byte>> ShmAgentObject::contact_metadata() const {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  return encode_blob(describe({}));
}

Result<ShmBlob> ShmAgentObject::read_blob(std::string_view name,
                                          std::span<const std::byte> bytes) const {
  if (name == options_.name) {
    return invalid("peer " + quoted(name) + " has this agent's own name");
  }
  KVFERRY_ASSIGN_OR_RETURN(ShmBlob blob, decode_blob(bytes, options_.limits.memory_count));
  if (blob.name != name) {
    return invalid("metadata of agent " + quoted(blob.name) + ", not of " + quoted(name));
  }
  if (blob.user != geteuid()) {
    return Error{ErrorCode::kRefused, "agent " + quoted(name) + " is of user " +
                                          std::to_string(blob.user) + ", not of user " +
                                          std::to_string(geteuid())};
  }
  return blob;
}

Result<void> ShmAgentObject::check_name_is_free(std::string_view name) const {
  for (const auto& [id, view] : state_->peers) {
    if (view->name == name) {
      return Error{ErrorCode::kBusy,
                   "peer " + quoted(name) + " is loaded as peer " + std::to_string(id)};
    }
  }
  return {};
}

Result<std::vector<RemoteMemoryPtr>> ShmAgentObject::reach(const std::vector<BlobMemory>& told,
                                                           ShmConnection& connection,
                                                           TimePoint until) const {
  std::vector<std::uint64_t> ids;
  for (const BlobMemory& memory : told) {
    if (memory.kind == MemoryKind::kSharedFile) {
      ids.push_back(memory.id);
    }
  }
  std::vector<RemoteMemoryPtr> reached;
  std::size_t next = 0;
  std::vector<UniqueFd> files;  // In parts: a process has few descriptors.
  std::size_t used = 0;
  for (const BlobMemory& memory : told) {
    if (memory.kind == MemoryKind::kProcess) {
      KVFERRY_ASSIGN_OR_RETURN(auto probed, RemoteMemory::probe(memory, connection.process()));
      reached.push_back(std::move(probed));
      continue;
    }
    if (used == files.size()) {
      const std::size_t part = std::min(kDescriptorsPerPacketMax, ids.size() - next);
      files.clear();
      KVFERRY_ASSIGN_OR_RETURN(files, connection.fetch(std::span{ids}.subspan(next, part), until));
      next += part;
      used = 0;
    }
    KVFERRY_ASSIGN_OR_RETURN(auto mapped,
                             RemoteMemory::map(memory, files[used++], connection.process()));
    reached.push_back(std::move(mapped));
  }
  return reached;
}

/// Reaches all that `blob` tells of, keeping what is the same as `before`.
Result<PeerViewPtr> ShmAgentObject::contact(const ShmBlob& blob, const PeerView* before,
                                            TimePoint until) const {
  auto view = std::make_shared<PeerView>();
  view->name = blob.name;
  view->instance = blob.instance;
  const bool same_life = before != nullptr && before->instance == blob.instance;
  if (same_life && !before->connection->is_closed()) {
    view->connection = before->connection;
  } else {
    auto opened = ShmConnection::open(blob, options_.name, until);
    if (!opened) {
      const bool elsewhere = blob.boot != boot_id();
      return std::move(opened).error().with_context(
          quoted(blob.name) + (elsewhere ? ", perhaps on another machine" : ""));
    }
    view->connection = *std::move(opened);
    KVFERRY_RETURN_IF_ERROR(state_->server->watch(view->connection->process()));
  }
  std::vector<BlobMemory> missing;
  std::map<std::uint64_t, RemoteMemoryPtr> known;
  if (same_life) {
    for (const RemoteMemoryPtr& memory : before->memories) {
      known.emplace(memory->told().id, memory);
    }
  }
  for (const BlobMemory& memory : blob.memories) {
    const auto found = known.find(memory.id);
    if (found != known.end() && found->second->told() == memory) {
      view->memories.push_back(found->second);
    } else {
      missing.push_back(memory);
    }
  }
  auto reached = reach(missing, *view->connection, until);
  if (!reached) {
    return std::move(reached).error().with_context(quoted(blob.name));
  }
  std::move(reached->begin(), reached->end(), std::back_inserter(view->memories));
  std::sort(view->memories.begin(), view->memories.end(),
            [](const RemoteMemoryPtr& a, const RemoteMemoryPtr& b) {
              return a->told().address < b->told().address;
            });
  return PeerViewPtr{std::move(view)};
}

Result<PeerId> ShmAgentObject::load_peer(std::string_view name, std::span<const std::byte> bytes,
                                         TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  KVFERRY_ASSIGN_OR_RETURN(const ShmBlob blob, read_blob(name, bytes));
  {
    const MutexLock lock{state_->mutex};
    KVFERRY_RETURN_IF_ERROR(check_name_is_free(name));
  }
  KVFERRY_ASSIGN_OR_RETURN(PeerViewPtr view, contact(blob, nullptr, machine_time(deadline)));
  const MutexLock lock{state_->mutex};
  KVFERRY_RETURN_IF_ERROR(check_name_is_free(name));  // Another call may have been quicker.
  const PeerId id{state_->next_peer++};
  state_->peers.emplace(id.value(), std::move(view));
  return id;
}

Result<void> ShmAgentObject::update_peer(PeerId peer, std::span<const std::byte> bytes,
                                         TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  const TimePoint until = machine_time(deadline);
  while (true) {
    KVFERRY_ASSIGN_OR_RETURN(const PeerViewPtr before, find(peer));
    KVFERRY_ASSIGN_OR_RETURN(const ShmBlob blob, read_blob(before->name, bytes));
    KVFERRY_ASSIGN_OR_RETURN(const PeerViewPtr view, contact(blob, before.get(), until));
    const MutexLock lock{state_->mutex};
    const auto found = state_->peers.find(peer.value());
    if (found != state_->peers.end() && found->second == before) {
      set_stale_except(*before, view->memories);
      found->second = view;
      return {};
    }
    // Another update or a forget came between: look again.
  }
}

Result<void> ShmAgentObject::forget_peer(PeerId peer) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  PeerViewPtr gone;  // Ends after the lock.
  const MutexLock lock{state_->mutex};
  const auto found = state_->peers.find(peer.value());
  if (found == state_->peers.end()) {
    return Error{ErrorCode::kStale, "peer " + std::to_string(peer.value()) + " is not loaded"};
  }
  gone = std::move(found->second);
  state_->peers.erase(found);
  set_stale_except(*gone, {});
  return {};
}

Liveness ShmAgentObject::liveness(PeerId peer) const {
  if (guard_->is_child()) {
    return Liveness::kDead;
  }
  const auto view = find(peer);
  return view && (*view)->connection->process()->is_alive() ? Liveness::kAlive : Liveness::kDead;
}

std::optional<std::int32_t> ShmAgentObject::process_of(PeerId peer) const {
  if (guard_->is_child()) {
    return std::nullopt;
  }
  const auto view = find(peer);
  return view ? std::optional<std::int32_t>{(*view)->connection->process()->id()} : std::nullopt;
}

Result<PreparedSidePtr> ShmAgentObject::prepare_local(std::span<const Region> regions) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  return ShmSide::local(regions);
}

Result<PreparedSidePtr> ShmAgentObject::prepare_remote(PeerId peer,
                                                       std::span<const Region> regions) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  KVFERRY_ASSIGN_OR_RETURN(const PeerViewPtr view, find(peer));
  return ShmSide::remote(regions, view->memories);
}

Result<std::optional<RequestId>> ShmAgentObject::post(const Request& request) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  KVFERRY_RETURN_IF_ERROR(ShmSide::move(request));
  return std::optional<RequestId>{};
}

Result<void> ShmAgentObject::notify(PeerId peer, std::span<const std::byte> message,
                                    TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  KVFERRY_ASSIGN_OR_RETURN(const PeerViewPtr view, find(peer));
  if (message.size() > options_.limits.notification_bytes) {
    return invalid("notification of " + std::to_string(message.size()) + " bytes of " +
                   std::to_string(options_.limits.notification_bytes));
  }
  auto sent = view->connection->notify(message, machine_time(deadline));
  return sent ? Result<void>{} : std::move(sent).error().with_context(quoted(view->name));
}

std::vector<Notification> ShmAgentObject::take_notifications() {
  return guard_->is_child() ? std::vector<Notification>{} : state_->server->take_notifications();
}

Result<void> ShmAgentObject::wait(TimePoint deadline) {
  KVFERRY_RETURN_IF_ERROR(refuse_in_child());
  if (!state_->server->wait(machine_time(deadline))) {
    return Error{ErrorCode::kDeadline, "no message, and no peer's end"};
  }
  return {};
}

void ShmAgentObject::wake() {
  if (!guard_->is_child()) {
    state_->server->wake();
  }
}

Result<void> check_options(const ShmAgentOptions& options) {
  if (options.name.empty() || options.name.size() > kAgentNameBytesMax ||
      options.name.find('\0') != std::string::npos) {
    return invalid("agent name of " + std::to_string(options.name.size()) + " bytes, 1 to " +
                   std::to_string(kAgentNameBytesMax) + " without a zero byte");
  }
  const std::size_t notification_bytes = options.limits.notification_bytes;
  if (notification_bytes > kNotificationBytesMax) {
    return invalid("limit of notification_bytes " + std::to_string(notification_bytes) + " of " +
                   std::to_string(kNotificationBytesMax));
  }
  return {};
}

/// A new file name in the directory: a name of its own for every life of an agent, and short,
/// because the kernel allows 107 bytes in all.
Result<std::string> socket_path_in(const std::string& directory) {
  std::array<std::byte, 8> random{};
  KVFERRY_RETURN_IF_ERROR(memory::fill_random(random));
  std::string path = directory + "/";
  for (const std::byte byte : random) {
    constexpr std::string_view kDigits{"0123456789abcdef"};
    path += kDigits[std::to_integer<std::size_t>(byte >> 4U)];
    path += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  path += ".sock";
  if (path.size() > kSocketPathBytesMax) {
    return invalid("socket path of " + std::to_string(path.size()) + " bytes of " +
                   std::to_string(kSocketPathBytesMax) + ": " + path);
  }
  return path;
}

}  // namespace

Result<std::shared_ptr<ShmAgent>> ShmAgent::create(ShmAgentOptions options) {
  KVFERRY_RETURN_IF_ERROR(check_options(options));
  KVFERRY_ASSIGN_OR_RETURN(std::string path, socket_path_in(options.socket_directory));
  KVFERRY_RETURN_IF_ERROR(make_private_directory(options.socket_directory));
  remove_dead_sockets(options.socket_directory);
  KVFERRY_ASSIGN_OR_RETURN(auto guard, ForkGuard::create());
  auto state = std::make_unique<State>(options.limits.memory_count);
  ShmServer::Options serving{std::move(path), {}, options.limits, options.log};
  KVFERRY_RETURN_IF_ERROR(memory::fill_random(serving.instance));
  KVFERRY_ASSIGN_OR_RETURN(state->server, ShmServer::start(std::move(serving), state->registry));
  return std::shared_ptr<ShmAgent>{
      std::make_shared<ShmAgentObject>(std::move(options), std::move(guard), std::move(state))};
}

}  // namespace kvferry::agent
