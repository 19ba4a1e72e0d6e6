// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kvferry/agent/agent.hpp"
#include "kvferry/base/clock.hpp"
#include "kvferry/base/log.hpp"
#include "kvferry/base/result.hpp"

namespace kvferry::agent {

/// Bounds of what a ShmAgent holds and takes.
struct ShmLimits {
  /// Longest notification. It travels as one packet, which the kernel's default buffer of a
  /// socket (208 KiB) holds with room to spare; at most 128 KiB.
  std::size_t notification_bytes{std::size_t{64} << 10U};
  /// Notifications that wait to be taken, of all peers; more are kBusy. With the longest message
  /// that is 16 MiB.
  std::size_t notification_count{256};
  /// Memories registered at once, and memories of one peer: as many as a manager has layouts.
  std::size_t memory_count{65'536};
  /// Peers connected to this agent at once: each costs one file descriptor, of which a process has
  /// 1,024 by default.
  std::size_t connection_count{256};
};

struct ShmAgentOptions {
  std::string name;  ///< told to peers; 1 to 255 bytes
  /// Where the agent's socket lies. Made with mode 0700 if it is not there (its parent must be).
  std::string socket_directory;
  ShmLimits limits{};
  LogHook log{};
  std::shared_ptr<const Clock> clock{};  ///< what deadlines are measured by; null: the machine's
};

/// Workers on one machine: peers map each other's memory, and a read or a write is a copy between
/// mappings, done inside post(). Memory that cannot be mapped (adopted) is read through the kernel,
/// with process_vm_readv. One thread answers peers and takes their notifications.
///
/// Threads:  any. After fork() a child may use no agent: calls are kRefused.
/// Lifetime: own memory given to prepare_local() is the caller's to keep.
/// Source:   docs/spec/shm.md.
class ShmAgent : public Agent {
 public:
  /// Errors: kInvalidArgument for a name, path or limit that cannot be; kRefused when another user
  ///         owns the directory or others may write to it; kUnavailable when the system refuses.
  [[nodiscard]] static Result<std::shared_ptr<ShmAgent>> create(ShmAgentOptions options);

 protected:
  ShmAgent() = default;
};

}  // namespace kvferry::agent
