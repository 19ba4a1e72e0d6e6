// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvferry/agent/agent.hpp"

namespace kvferry::conformance {

using Bytes = std::vector<std::byte>;

/// How long anything may take that is expected to work, on a machine under load.
inline TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{30}; }

/// The byte that an owner's memory holds at `offset` after fill(seed).
constexpr std::byte byte_at(std::uint64_t seed, std::uint64_t offset) {
  return static_cast<std::byte>(seed * 131 + offset * 7 + (offset >> 8U));
}

struct Owned {
  std::uint64_t id{0};
  Region region;
};

/// The other side of an agent under test: a peer that owns memory. Misuse ends the test program.
class Owner {
 public:
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  virtual ~Owner() = default;

  virtual std::string name() = 0;
  virtual pid_t process() = 0;
  virtual Owned add(std::uint64_t size_bytes, Access access, bool adopted) = 0;
  virtual void remove(std::uint64_t id) = 0;
  virtual void fill(std::uint64_t id, std::uint64_t seed) = 0;
  virtual Bytes read(std::uint64_t id) = 0;
  virtual Bytes metadata() = 0;
  /// Ends the agent and makes another one of the same name, with no memory.
  virtual void restart() = 0;
  /// Loads a peer and sends it messages.
  virtual void notify(const std::string& peer, const Bytes& metadata,
                      const std::vector<Bytes>& messages) = 0;
  virtual std::vector<agent::Notification> take() = 0;

 protected:
  Owner() = default;
};

/// An owner in this process.
std::unique_ptr<Owner> make_local_owner(const std::string& directory);

/// An owner in a process of its own, which runs `program`, which calls serve_owner().
std::unique_ptr<Owner> make_process_owner(const std::string& program, const std::string& directory);

/// Does what the lines on standard input say, with an owner in this process, until they end.
void serve_owner(const std::string& directory);

}  // namespace kvferry::conformance
