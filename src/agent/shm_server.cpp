// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_server.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <utility>

#include "agent/unix_socket.hpp"
#include "kvferry/base/try.hpp"
#include "memory/system.hpp"

namespace kvferry::agent {
namespace {

using memory::system_error;

constexpr std::uint64_t kListenerToken = 0;
constexpr std::uint64_t kStopToken = 1;
constexpr std::uint64_t kTokenStep = 2;
constexpr TimePoint kAtOnce{};  ///< long ago: try, do not wait

/// Keeps the host's signal handlers off a thread of ours while it starts (threads inherit it).
class BlockSignals {
 public:
  BlockSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

Result<void> reply(int socket, PacketType type, std::uint32_t sequence,
                   std::span<const std::byte> body = {}, std::span<const int> descriptors = {}) {
  // A caller that does not take its answers loses the connection; nobody waits for it.
  return send_packet(socket, encode_packet({type, sequence, body}), descriptors, kAtOnce);
}

Result<void> reply_error(int socket, std::uint32_t sequence, const Error& error) {
  return reply(socket, PacketType::kError, sequence, encode_error(error));
}

}  // namespace

Result<std::unique_ptr<ShmServer>> ShmServer::start(Options options, const ShmRegistry& registry) {
  std::unique_ptr<ShmServer> server{new ShmServer{std::move(options), registry}};
  KVFERRY_RETURN_IF_ERROR(server->set_up());
  return server;
}

ShmServer::~ShmServer() {
  if (thread_.joinable()) {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  if (listener_) {
    unlink(options_.socket_path.c_str());
  }
}

Result<void> ShmServer::set_up() {
  epoll_ = UniqueFd{epoll_create1(EPOLL_CLOEXEC)};
  stop_ = UniqueFd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  spare_ = UniqueFd{open("/dev/null", O_RDONLY | O_CLOEXEC)};
  if (!epoll_ || !stop_ || !spare_) {
    return system_error(ErrorCode::kUnavailable, "cannot set up the agent's thread", errno);
  }
  KVFERRY_ASSIGN_OR_RETURN(listener_, listen_at(options_.socket_path));
  KVFERRY_RETURN_IF_ERROR(add_to_epoll(listener_.get(), EPOLLIN, kListenerToken));
  KVFERRY_RETURN_IF_ERROR(add_to_epoll(stop_.get(), EPOLLIN, kStopToken));
  const BlockSignals blocked;
  try {
    thread_ = std::thread{[this] { run(); }};
  } catch (const std::system_error& failure) {
    return system_error(ErrorCode::kUnavailable, "cannot start the agent's thread",
                        failure.code().value());
  }
  return {};
}

Result<void> ShmServer::add_to_epoll(int descriptor, std::uint32_t events, Token token) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return system_error(ErrorCode::kUnavailable, "cannot watch a descriptor", errno);
  }
  return {};
}

std::vector<Notification> ShmServer::take_notifications() {
  const MutexLock lock{mutex_};
  return std::exchange(notifications_, {});
}

bool ShmServer::wait(TimePoint until) {
  const MutexLock lock{mutex_};
  while (notifications_.empty() && !woken_) {
    if (!news_.wait_until(mutex_, until)) {
      return false;
    }
  }
  woken_ = false;
  return true;
}

void ShmServer::wake() {
  const MutexLock lock{mutex_};
  woken_ = true;
  news_.notify_all();
}

Result<void> ShmServer::watch(const std::shared_ptr<PeerProcess>& process) {
  const MutexLock lock{mutex_};
  std::erase_if(watched_, [](const auto& item) { return item.second.expired(); });
  const Token token = next_token_;
  // Once: a forked child may keep the descriptor open after we closed it, and the kernel would
  // tell of the death for ever.
  KVFERRY_RETURN_IF_ERROR(add_to_epoll(process->descriptor(), EPOLLIN | EPOLLONESHOT, token));
  watched_.emplace(token, process);
  next_token_ += kTokenStep;
  return {};
}

void ShmServer::run() {
  std::array<epoll_event, 32> events{};
  while (true) {
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int index = 0; index < count; ++index) {
      const Token token = events[static_cast<std::size_t>(index)].data.u64;
      if (token == kStopToken) {
        return;
      }
      if (token == kListenerToken) {
        accept_one();
      } else if (token % kTokenStep == 0) {
        note_death(token);
      } else {
        serve(token);
      }
    }
  }
}

void ShmServer::accept_one() {
  UniqueFd socket{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!socket) {
    if (errno == EMFILE || errno == ENFILE) {
      refuse_without_descriptors();
    }
    return;
  }
  const auto who = credentials_of(socket.get());
  if (!who || who->user != geteuid()) {
    log(LogLevel::kWarn, "a caller of another user was turned away");
    (void)reply_error(socket.get(), 0, {ErrorCode::kRefused, "the agent is another user's"});
    return;
  }
  if (connections_.size() >= options_.limits.connection_count) {
    (void)reply_error(
        socket.get(), 0,
        {ErrorCode::kBusy, "the agent has " + std::to_string(connections_.size()) + " callers of " +
                               std::to_string(options_.limits.connection_count)});
    return;
  }
  const Token token = next_connection_;
  if (add_to_epoll(socket.get(), EPOLLIN, token)) {
    next_connection_ += kTokenStep;
    connections_.emplace(token, Connection{std::move(socket), {}});
  }
}

/// A caller that cannot be accepted would wake the thread for ever: one descriptor is kept to
/// take it and let it go.
void ShmServer::refuse_without_descriptors() {
  log(LogLevel::kWarn, "a caller was turned away: the process has no file descriptors left");
  spare_ = UniqueFd{};
  { const UniqueFd refused{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)}; }
  spare_ = UniqueFd{open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

void ShmServer::serve(Token token) {
  const auto found = connections_.find(token);
  if (found == connections_.end()) {
    return;
  }
  Connection& connection = found->second;
  auto received = receive_packet(connection.socket.get(), kPacketBytesMax, kAtOnce);
  if (!received && received.error().code == ErrorCode::kDeadline) {
    return;  // Woken for nothing.
  }
  const Result<void> answered =
      received ? answer(connection, received->bytes) : std::move(received).error();
  if (!answered) {
    if (answered.error().code != ErrorCode::kUnavailable) {
      log(LogLevel::kWarn,
          "the connection of \"" + connection.peer + "\" ends: " + answered.error().message);
    }
    // By hand: closing is not enough while a forked child holds a copy.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.socket.get(), nullptr);
    connections_.erase(found);
  }
}

Result<void> ShmServer::answer(Connection& connection, std::span<const std::byte> bytes) {
  KVFERRY_ASSIGN_OR_RETURN(const Packet packet, decode_packet(bytes));
  if (packet.type == PacketType::kHello) {
    return answer_hello(connection, packet);
  }
  if (connection.peer.empty()) {
    return Error{ErrorCode::kCorrupt, "the first packet is no hello"};
  }
  if (packet.type == PacketType::kAsk) {
    return answer_ask(connection, packet);
  }
  if (packet.type == PacketType::kNotify) {
    const int socket = connection.socket.get();
    const auto taken = take(connection.peer, packet.body);
    return taken ? reply(socket, PacketType::kAccepted, packet.sequence)
                 : reply_error(socket, packet.sequence, taken.error());
  }
  return Error{ErrorCode::kCorrupt, "a caller sent an answer"};
}

Result<void> ShmServer::answer_hello(Connection& connection, const Packet& packet) const {
  KVFERRY_ASSIGN_OR_RETURN(Hello hello, decode_hello(packet.body));
  if (hello.instance != options_.instance) {
    return reply_error(connection.socket.get(), packet.sequence,
                       {ErrorCode::kStale, "another life of the agent is meant"});
  }
  connection.peer = std::move(hello.name);
  return reply(connection.socket.get(), PacketType::kWelcome, packet.sequence);
}

Result<void> ShmServer::answer_ask(const Connection& connection, const Packet& packet) const {
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> ids, decode_ids(packet.body));
  std::vector<UniqueFd> files;
  std::vector<int> numbers;
  for (const std::uint64_t id : ids) {
    auto file = registry_.open(id);
    if (!file) {
      return reply_error(connection.socket.get(), packet.sequence, file.error());
    }
    numbers.push_back(file->get());
    files.push_back(*std::move(file));
  }
  return reply(connection.socket.get(), PacketType::kMemories, packet.sequence, {}, numbers);
}

Result<void> ShmServer::take(const std::string& peer, std::span<const std::byte> message) {
  const ShmLimits& limits = options_.limits;
  if (message.size() > limits.notification_bytes) {
    return Error{ErrorCode::kInvalidArgument, "notification of " + std::to_string(message.size()) +
                                                  " bytes of " +
                                                  std::to_string(limits.notification_bytes)};
  }
  const MutexLock lock{mutex_};
  if (notifications_.size() >= limits.notification_count) {
    return Error{ErrorCode::kBusy, std::to_string(notifications_.size()) + " notifications of " +
                                       std::to_string(limits.notification_count) + " wait"};
  }
  notifications_.push_back({peer, {message.begin(), message.end()}});
  news_.notify_all();
  return {};
}

void ShmServer::note_death(Token token) {
  std::shared_ptr<PeerProcess> process;
  {
    const MutexLock lock{mutex_};
    if (const auto found = watched_.find(token); found != watched_.end()) {
      process = found->second.lock();
      watched_.erase(found);
    }
  }
  if (process != nullptr) {
    process->set_dead();
    wake();
    log(LogLevel::kInfo, "process " + std::to_string(process->id()) + " of a peer has ended");
  }
}

void ShmServer::log(LogLevel level, const std::string& message) const {
  if (options_.log) {
    options_.log(level, options_.socket_path + ": " + message);
  }
}

}  // namespace kvferry::agent
