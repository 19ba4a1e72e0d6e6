// SPDX-License-Identifier: Apache-2.0
// The other process of the tests of leases:
//
//   lease_peer reader DIRECTORY FAULT DEADLINE_MS   pulls from who wrote DIRECTORY/message
//   lease_peer owner DIRECTORY (grant|die|stop)     writes DIRECTORY/message, and lends its blocks
//   so
//
// The reader's destination is DIRECTORY/destination, so that who starts it sees what arrived. Each
// prints "ready" and then, the reader, how its transfer ended. Misuse ends it.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "workers.hpp"

namespace kvferry::testing {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) {
    throw std::runtime_error{result.error().message};
  }
  return *std::move(result);
}

std::vector<std::byte> read_message(const std::string& directory) {
  std::ifstream file{directory + "/message", std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

std::shared_ptr<agent::Agent> make_agent(const std::string& directory, const std::string& name,
                                         const std::string& fault) {
  auto agent = must(agent::ShmAgent::create({.name = name, .socket_directory = directory}));
  if (fault == "none") {
    return agent;
  }
  return std::make_shared<FaultyAgent>(std::move(agent), must(parse_fault(fault)));
}

int read_blocks(const std::string& directory, const std::string& fault, int deadline_ms) {
  const auto manager = must(manager::TransportManager::create(
      {.worker_id = WorkerId{8}, .agent = make_agent(directory, "reader", fault)}));
  const int file = open((directory + "/destination").c_str(), O_RDWR);
  void* const at =
      mmap(nullptr, kLeasedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  const auto layout =
      must(transfer::PhysicalLayout::fully_contiguous(standard_config(kLeasedBlocks))
               .adopt({std::span{static_cast<std::byte*>(at), kLeasedBytes}})
               .build());
  const LayoutHandle mine = must(manager->register_layout(layout, {.access = Access::kNone}));
  const auto theirs = must(manager->import_metadata(read_message(directory)));
  std::cout << "ready" << std::endl;
  std::vector<BlockId> blocks;
  for (std::uint64_t block = 0; block < kLeasedBlocks; ++block) {
    blocks.emplace_back(block);
  }
  transfer::TransferOptions options;
  options.deadline = std::chrono::milliseconds{deadline_ms};
  options.hold_source = true;
  const auto report =
      must(manager->execute_transfer(theirs.front(), blocks, mine, blocks, options)).wait();
  std::cout << (report.ok() ? "good" : report.error->message) << std::endl;
  return 0;
}

int lend_blocks(const std::string& directory, const std::string& how) {
  manager::LeaseHooks hooks;
  hooks.ask = [&how](const manager::LeaseRequest&) -> Result<void> {
    if (how != "grant") {
      raise(how == "die" ? SIGKILL : SIGSTOP);
    }
    return {};
  };
  const auto manager =
      must(manager::TransportManager::create({.worker_id = WorkerId{7},
                                              .agent = make_agent(directory, "owner", "none"),
                                              .leases = hooks}));
  const auto layout =
      must(transfer::PhysicalLayout::fully_contiguous(standard_config(kLeasedBlocks))
               .allocate_system()
               .build());
  must(manager->register_layout(layout));
  const auto message = must(manager->export_envelope());
  std::ofstream file{directory + "/message", std::ios::binary};
  file.write(reinterpret_cast<const char*>(message.data()),
             static_cast<std::streamsize>(message.size()));
  file.close();
  std::cout << "ready" << std::endl;
  std::cin.get();  // Until who started it closes the other end.
  return 0;
}

}  // namespace
}  // namespace kvferry::testing

int main(int count, char** words) {
  const std::vector<std::string> said{words + 1, words + count};
  try {
    if (said.at(0) == "reader") {
      return kvferry::testing::read_blocks(said.at(1), said.at(2), std::stoi(said.at(3)));
    }
    return kvferry::testing::lend_blocks(said.at(1), said.at(2));
  } catch (const std::exception& failure) {
    std::cout << "failed: " << failure.what() << std::endl;
    return 1;
  }
}
