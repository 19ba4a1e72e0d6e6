// SPDX-License-Identifier: Apache-2.0
#include "agent/shm_connection.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "kvferry/base/try.hpp"

namespace kvferry::agent {
namespace {

// An answer is a header, and at most the message of an error.
constexpr std::size_t kAnswerBytesMax = 4096;

}  // namespace

Result<std::shared_ptr<ShmConnection>> ShmConnection::open(const ShmBlob& peer,
                                                           std::string_view own_name,
                                                           TimePoint until) {
  KVFERRY_ASSIGN_OR_RETURN(UniqueFd socket, connect_to(peer.socket_path, until));
  KVFERRY_ASSIGN_OR_RETURN(const Credentials who, credentials_of(socket.get()));
  if (who.user != geteuid()) {
    return Error{ErrorCode::kRefused, "the peer's agent runs as user " + std::to_string(who.user) +
                                          ", not as user " + std::to_string(geteuid())};
  }
  KVFERRY_ASSIGN_OR_RETURN(std::shared_ptr<PeerProcess> process, PeerProcess::open(who.process));
  std::shared_ptr<ShmConnection> made{new ShmConnection{std::move(socket), std::move(process)}};
  const auto hello = encode_hello(Hello{peer.instance, std::string{own_name}});
  KVFERRY_RETURN_IF_ERROR(made->ask(PacketType::kHello, hello, PacketType::kWelcome, until));
  // It answered, so if it runs now, the pidfd is of the process that answered.
  if (!made->process_->is_alive()) {
    return Error{ErrorCode::kUnavailable, "process " + std::to_string(who.process) + " is gone"};
  }
  return made;
}

Result<std::vector<UniqueFd>> ShmConnection::fetch(std::span<const std::uint64_t> ids,
                                                   TimePoint until) {
  std::vector<UniqueFd> files;
  files.reserve(ids.size());
  while (!ids.empty()) {
    const auto part = ids.first(std::min(ids.size(), kDescriptorsPerPacketMax));
    KVFERRY_ASSIGN_OR_RETURN(Answer answer,
                             ask(PacketType::kAsk, encode_ids(part), PacketType::kMemories, until));
    if (answer.descriptors.size() != part.size()) {
      return Error{ErrorCode::kRefused, "the peer gave " +
                                            std::to_string(answer.descriptors.size()) +
                                            " files of " + std::to_string(part.size())};
    }
    std::move(answer.descriptors.begin(), answer.descriptors.end(), std::back_inserter(files));
    ids = ids.subspan(part.size());
  }
  return files;
}

Result<void> ShmConnection::notify(std::span<const std::byte> message, TimePoint until) {
  KVFERRY_RETURN_IF_ERROR(ask(PacketType::kNotify, message, PacketType::kAccepted, until));
  return {};
}

bool ShmConnection::is_closed() const noexcept {
  pollfd entry{socket_.get(), POLLRDHUP, 0};
  return poll(&entry, 1, 0) > 0;
}

Result<ShmConnection::Answer> ShmConnection::ask(PacketType type, std::span<const std::byte> body,
                                                 PacketType expected, TimePoint until) {
  {
    const MutexLock lock{mutex_};
    while (in_use_) {
      if (!free_.wait_until(mutex_, until)) {
        return Error{ErrorCode::kDeadline, "waiting for another call to this peer"};
      }
    }
    in_use_ = true;
  }
  auto answer = exchange(type, body, expected, until);
  {
    const MutexLock lock{mutex_};
    in_use_ = false;
  }
  free_.notify_one();
  return answer;
}

Result<ShmConnection::Answer> ShmConnection::exchange(PacketType type,
                                                      std::span<const std::byte> body,
                                                      PacketType expected, TimePoint until) {
  const std::uint32_t sequence = ++sequence_;
  const auto sent = send_packet(socket_.get(), encode_packet({type, sequence, body}), {}, until);
  if (!sent && sent.error().code != ErrorCode::kUnavailable) {
    return sent.error();
  }
  while (true) {
    // A peer that turned us away has closed before we asked, but its reason is here already.
    auto got = receive_packet(socket_.get(), kAnswerBytesMax, sent ? until : TimePoint{});
    if (!got) {
      return sent ? std::move(got).error() : sent.error();
    }
    ReceivedPacket received = *std::move(got);
    KVFERRY_ASSIGN_OR_RETURN(const Packet packet, decode_packet(received.bytes));
    // An answer to a question whose asker gave up; its files, if any, are closed here. Number 0
    // is an answer before any question: the peer takes no callers.
    if (packet.sequence != sequence && packet.sequence != 0) {
      continue;
    }
    if (packet.type == PacketType::kError) {
      return decode_error(packet.body);
    }
    if (packet.type != expected) {
      return Error{ErrorCode::kCorrupt, "the peer answered with a packet of type " +
                                            std::to_string(static_cast<unsigned>(packet.type)) +
                                            ", not " +
                                            std::to_string(static_cast<unsigned>(expected))};
    }
    return Answer{packet.type, std::move(received.descriptors)};
  }
}

}  // namespace kvferry::agent
