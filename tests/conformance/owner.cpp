// SPDX-License-Identifier: Apache-2.0
#include "conformance/owner.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <iostream>
#include <sstream>
#include <utility>

#include "kvferry/agent/shm_agent.hpp"

namespace kvferry::conformance {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits{"0123456789abcdef"};
  std::string text{"x"};  // So that no bytes are a word, too.
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4U)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

Bytes unhex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Bytes bytes;
  for (std::size_t at = 1; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(digit(text[at]) * 16 + digit(text[at + 1])));
  }
  return bytes;
}

void must(const Result<void>& result) {
  if (!result) {
    std::cerr << "owner: " << result.error().message << '\n';
    std::terminate();
  }
}

class LocalOwner final : public Owner {
 public:
  explicit LocalOwner(std::string directory) : directory_{std::move(directory)} { start(); }

  std::string name() override { return "owner"; }
  pid_t process() override { return getpid(); }

  Owned add(std::uint64_t size_bytes, Access access, bool adopted) override {
    memory::MemoryPtr memory;
    if (adopted) {
      auto storage = std::make_shared<Bytes>(size_bytes);
      memory = *memory::adopt(*storage, storage);
    } else {
      memory = *memory::allocate_system(size_bytes);
    }
    const std::uint64_t id = agent_->register_memory(memory, access)->value();
    const auto address = reinterpret_cast<std::uintptr_t>(memory->bytes().data());
    memories_[id] = std::move(memory);
    return {id, {address, size_bytes}};
  }
  void remove(std::uint64_t id) override {
    must(agent_->deregister_memory(agent::RegistrationId{id}));
  }
  void fill(std::uint64_t id, std::uint64_t seed) override {
    std::uint64_t offset = 0;
    for (std::byte& byte : memories_.at(id)->bytes()) {
      byte = byte_at(seed, offset++);
    }
  }
  Bytes read(std::uint64_t id) override {
    const auto bytes = memories_.at(id)->bytes();
    return {bytes.begin(), bytes.end()};
  }
  Bytes metadata() override { return *agent_->local_metadata(); }
  void restart() override {
    agent_.reset();
    memories_.clear();
    start();
  }
  void notify(const std::string& peer, const Bytes& metadata,
              const std::vector<Bytes>& messages) override {
    const agent::PeerId id = *agent_->load_peer(peer, metadata, soon());
    for (const Bytes& message : messages) {
      must(agent_->notify(id, message, soon()));
    }
    must(agent_->forget_peer(id));
  }
  std::vector<agent::Notification> take() override { return agent_->take_notifications(); }

 private:
  void start() {
    agent::ShmAgentOptions options;
    options.name = "owner";
    options.socket_directory = directory_;
    options.limits.notification_count = 8;
    agent_ = *agent::ShmAgent::create(std::move(options));
  }

  std::string directory_;
  std::shared_ptr<agent::ShmAgent> agent_;
  std::map<std::uint64_t, memory::MemoryPtr> memories_;
};

/// What the lines between the two processes say, on the side that asks.
class ProcessOwner final : public Owner {
 public:
  ProcessOwner(const std::string& program, const std::string& directory) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) {
      std::terminate();
    }
    process_ = fork();
    if (process_ == 0) {
      dup2(to[0], STDIN_FILENO);
      dup2(from[1], STDOUT_FILENO);
      execl(program.c_str(), program.c_str(), directory.c_str(), nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  ~ProcessOwner() override {
    kill(process_, SIGCONT);  // It ends when its input does, which a stopped one cannot see.
    close(to_);
    close(from_);
    waitpid(process_, nullptr, 0);
  }

  std::string name() override { return "owner"; }
  pid_t process() override { return process_; }
  Owned add(std::uint64_t size_bytes, Access access, bool adopted) override {
    std::istringstream answer{ask("add " + std::to_string(size_bytes) + " " +
                                  std::to_string(static_cast<unsigned>(access)) + " " +
                                  std::to_string(static_cast<int>(adopted)))};
    Owned made;
    answer >> made.id >> made.region.address >> made.region.size_bytes;
    return made;
  }
  void remove(std::uint64_t id) override { ask("remove " + std::to_string(id)); }
  void fill(std::uint64_t id, std::uint64_t seed) override {
    ask("fill " + std::to_string(id) + " " + std::to_string(seed));
  }
  Bytes read(std::uint64_t id) override { return unhex(ask("read " + std::to_string(id))); }
  Bytes metadata() override { return unhex(ask("metadata")); }
  void restart() override { ask("restart"); }
  void notify(const std::string& peer, const Bytes& metadata,
              const std::vector<Bytes>& messages) override {
    std::string line = "notify " + peer + " " + hex(metadata);
    for (const Bytes& message : messages) {
      line += " " + hex(message);
    }
    ask(line);
  }
  std::vector<agent::Notification> take() override {
    std::istringstream answer{ask("take")};
    std::vector<agent::Notification> taken;
    for (std::string sender, bytes; answer >> sender >> bytes;) {
      taken.push_back({sender, unhex(bytes)});
    }
    return taken;
  }

 private:
  std::string ask(std::string line) {
    line += '\n';
    for (std::string_view rest{line}; !rest.empty();) {
      const ssize_t sent = ::write(to_, rest.data(), rest.size());
      if (sent <= 0) {
        std::terminate();
      }
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    while (ahead_.find('\n') == std::string::npos) {
      std::array<char, 4096> part{};
      const ssize_t got = ::read(from_, part.data(), part.size());
      if (got <= 0) {
        std::terminate();
      }
      ahead_.append(part.data(), static_cast<std::size_t>(got));
    }
    std::string answer = ahead_.substr(0, ahead_.find('\n'));
    ahead_.erase(0, answer.size() + 1);
    return answer;
  }

  pid_t process_{-1};
  int to_{-1};
  int from_{-1};
  std::string ahead_;
};

std::string obey(Owner& owner, std::istringstream& line) {
  std::string verb;
  line >> verb;
  std::uint64_t number = 0;
  std::uint64_t second = 0;
  if (verb == "add") {
    bool adopted = false;
    line >> number >> second >> adopted;
    const Owned made = owner.add(number, static_cast<Access>(second), adopted);
    return std::to_string(made.id) + " " + std::to_string(made.region.address) + " " +
           std::to_string(made.region.size_bytes);
  }
  if (verb == "remove") {
    line >> number;
    owner.remove(number);
  } else if (verb == "fill") {
    line >> number >> second;
    owner.fill(number, second);
  } else if (verb == "read") {
    line >> number;
    return hex(owner.read(number));
  } else if (verb == "metadata") {
    return hex(owner.metadata());
  } else if (verb == "restart") {
    owner.restart();
  } else if (verb == "notify") {
    std::string peer;
    std::string metadata;
    line >> peer >> metadata;
    std::vector<Bytes> messages;
    for (std::string message; line >> message;) {
      messages.push_back(unhex(message));
    }
    owner.notify(peer, unhex(metadata), messages);
  } else if (verb == "take") {
    std::string answer;
    for (const agent::Notification& taken : owner.take()) {
      answer += taken.sender + " " + hex(taken.bytes) + " ";
    }
    return answer;
  }
  return "done";
}

}  // namespace

std::unique_ptr<Owner> make_local_owner(const std::string& directory) {
  return std::make_unique<LocalOwner>(directory);
}

std::unique_ptr<Owner> make_process_owner(const std::string& program,
                                          const std::string& directory) {
  return std::make_unique<ProcessOwner>(program, directory);
}

void serve_owner(const std::string& directory) {
  LocalOwner owner{directory};
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream line{text};
    std::cout << obey(owner, line) << std::endl;
  }
}

}  // namespace kvferry::conformance
