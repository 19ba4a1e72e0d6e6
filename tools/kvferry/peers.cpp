// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "exchange_option.hpp"
#include "interruption.hpp"
#include "kvferry/base/try.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "publishing.hpp"
#include "trusting.hpp"

namespace kvferry::tool {
namespace {

/// One worker as it is shown.
struct Peer {
  exchange::FoundWorker found;
  std::string agent{};      ///< as its message says
  std::string signed_by{};  ///< empty when that was not asked
  nlohmann::ordered_json layouts = nlohmann::ordered_json::array();
  std::string layouts_text{};
  std::string audience{};  ///< whom its message is for; empty: all
  std::chrono::milliseconds lease{0};
  std::optional<std::chrono::system_clock::time_point> lease_ends{};
  std::string error{};  ///< why its message cannot be read or used; empty if it can
};

/// The order of a block's inside, as whichever format says it.
std::string order_of(const wire::LocalLayoutView& layout) {
  const layout::PackedLayout told =
      wire::told_layout(layout.layout_config, layout.layout_type_details);
  return told.order ? to_string(*told.order) : "Unknown";
}

/// "strided" where strides say it.
std::string_view arrangement_of(const wire::LocalLayoutView& layout) {
  return layout.strided ? "strided" : to_string(wire::arrangement_of(layout.layout_type_details));
}

nlohmann::ordered_json json_of(const wire::LocalLayoutView& layout) {
  const layout::LayoutConfig& config = layout.layout_config;
  nlohmann::ordered_json value{{"id", layout.handle.layout_id().value()},
                               {"storage", to_string(layout.location)},
                               {"arrangement", arrangement_of(layout)},
                               {"blocks", config.num_blocks},
                               {"layers", config.num_layers},
                               {"outer", config.outer_dim},
                               {"page", config.page_size},
                               {"inner", config.inner_dim},
                               {"dtype", config.dtype_width_bytes},
                               {"order", order_of(layout)},
                               {"bytes", config.required_bytes()}};
  if (config.num_heads) {
    value["heads"] = *config.num_heads;
  }
  return value;
}

/// For whom an envelope is, and until when.
void read_terms(const wire::Envelope& envelope, Peer& peer) {
  peer.audience = envelope.audience;
  if (envelope.lease.count() == 0) {
    return;
  }
  peer.lease = envelope.lease;
  peer.lease_ends = envelope.issued + envelope.lease;
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now() - *peer.lease_ends);
  if (since.count() >= 0) {
    peer.error = fmt::format("lease: it ended {} ms ago", since.count());
  }
}

Result<void> read_message(const exchange::Formats& formats, Peer& peer) {
  KVFERRY_ASSIGN_OR_RETURN(const ReadMessage read, read_richest(formats));
  const wire::MessageView& view = read.view;
  peer.agent = view.nixl_agent_name;
  if (read.envelope != nullptr) {
    read_terms(*read.envelope, peer);
  }
  for (const wire::LocalLayoutView& layout : view.layouts()) {
    peer.layouts.push_back(json_of(layout));
    peer.layouts_text +=
        fmt::format("{}{}{} x {}", peer.layouts_text.empty() ? "" : ", ",
                    layout.is_plane ? "plane " : "", layout.layout_config.num_blocks,
                    human_bytes(layout.layout_config.required_bytes() /
                                std::max<std::uint64_t>(1, layout.layout_config.num_blocks)));
  }
  return {};
}

/// Nothing when the worker has gone since the listing.
Outcome<std::vector<Peer>> find_peers(exchange::Exchange& exchange, const Signers& signers) {
  KVFERRY_ASSIGN_OR_RETURN(const exchange::Listing listing, exchange.list(exchange_deadline()));
  for (const exchange::Skipped& skipped : listing.skipped) {
    print_error(fmt::format("kvferry: passed over {}: {}\n", printable(skipped.what),
                            printable(skipped.why)));
  }
  std::vector<Peer> peers;
  for (const exchange::FoundWorker& found : listing.workers) {
    Peer peer{.found = found};
    const auto fetched = exchange.fetch(found.record.name, exchange_deadline());
    if (!fetched && fetched.error().code == ErrorCode::kUnavailable) {
      continue;
    }
    const Result<void> read =
        fetched ? read_message(fetched->formats, peer) : Result<void>{fetched.error()};
    if (!read) {
      peer.error = read.error().message;
    } else if (const auto signer = signers.find(found.record.name); signer != signers.end()) {
      peer.signed_by = signer->second;
    }
    peers.push_back(std::move(peer));
  }
  return peers;
}

std::chrono::seconds age_of(const Peer& peer) {
  const auto age = std::chrono::system_clock::now() - peer.found.published;
  return std::max(std::chrono::seconds{0}, std::chrono::duration_cast<std::chrono::seconds>(age));
}

std::string age_text(std::chrono::seconds age) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (age.count() < 2 * kMinute) {
    return fmt::format("{} s", age.count());
  }
  if (age.count() < 2 * kHour) {
    return fmt::format("{} min", age.count() / kMinute);
  }
  return age.count() < 2 * kDay ? fmt::format("{} h", age.count() / kHour)
                                : fmt::format("{} d", age.count() / kDay);
}

std::vector<std::string> format_names(const Peer& peer) {
  std::vector<std::string> names;
  for (const std::string& file : peer.found.formats) {
    names.emplace_back(format_name(file));
  }
  return names;
}

void print_peers_json(const std::vector<Peer>& peers) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Peer& peer : peers) {
    const exchange::WorkerRecord& record = peer.found.record;
    nlohmann::ordered_json row{{"name", record.name},
                               {"worker_id", std::to_string(record.worker_id.value())},
                               {"epoch", to_string(record.epoch)},
                               {"generation", record.generation},
                               {"alive", peer.found.alive},
                               {"formats", format_names(peer)},
                               {"layouts", peer.layouts},
                               {"agent", peer.agent},
                               {"age_seconds", age_of(peer).count()}};
    if (!peer.audience.empty()) {
      row["audience"] = peer.audience;
    }
    if (peer.lease.count() != 0) {
      row["lease_ms"] = peer.lease.count();
    }
    if (!peer.signed_by.empty()) {
      row["signed_by"] = peer.signed_by;
    }
    if (!peer.error.empty()) {
      row["error"] = peer.error;
    }
    rows.push_back(std::move(row));
  }
  print_json(rows);
}

void print_peers_text(const std::vector<Peer>& peers) {
  if (peers.empty()) {
    print("nobody\n");
    return;
  }
  const bool is_signed =
      std::ranges::any_of(peers, [](const Peer& peer) { return !peer.signed_by.empty(); });
  std::vector<std::string> heads{"name",  "state",      "worker", "agent",
                                 "epoch", "generation", "age",    "layouts"};
  if (is_signed) {
    heads.emplace_back("signer");
  }
  Table table{std::move(heads)};
  for (const Peer& peer : peers) {
    const exchange::WorkerRecord& record = peer.found.record;
    std::vector<std::string> row{record.name,
                                 peer.found.alive ? "alive" : "dead",
                                 std::to_string(record.worker_id.value()),
                                 printable(peer.agent),
                                 to_string(record.epoch).substr(0, 8),
                                 std::to_string(record.generation),
                                 age_text(age_of(peer)),
                                 peer.error.empty() ? peer.layouts_text : printable(peer.error)};
    if (is_signed) {
      row.push_back(peer.signed_by.empty() ? "-" : printable(peer.signed_by));
    }
    table.add_row(std::move(row));
  }
  print(table.to_string());
}

void print_peers(const std::vector<Peer>& peers, bool json) {
  json ? print_peers_json(peers) : print_peers_text(peers);
}

Outcome<int> show_peers(const PeersOptions& options) {
  Signers signers;
  KVFERRY_ASSIGN_OR_RETURN(auto found, find_exchange(options.exchange));
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange,
                           only_trusted(std::move(found), options.trusted, signers));
  std::vector<Peer> peers;
  if (exchange) {
    KVFERRY_ASSIGN_OR_RETURN(peers, find_peers(*exchange, signers));
  }
  print_peers(peers, options.json);
  return kExitYes;
}

/// How long until the first lease ends that has not ended yet, for poll().
int until_a_lease_ends(const std::vector<Peer>& peers) {
  constexpr int kForEver = -1;
  constexpr std::chrono::milliseconds kHour = std::chrono::hours{1};  // Then it is looked at again.
  const auto now = std::chrono::system_clock::now();
  std::optional<std::chrono::milliseconds> first;
  for (const Peer& peer : peers) {
    if (peer.lease_ends && *peer.lease_ends > now) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*peer.lease_ends - now);
      first = std::min({first.value_or(left), left, kHour});
    }
  }
  return first ? static_cast<int>(first->count()) : kForEver;
}

/// Waits until something changes, for `timeout_ms` at most. False when that is of no use any more:
/// a signal came, or nobody reads what is printed.
Outcome<bool> wait_for_change(exchange::Watch& watch, int timeout_ms) {
  while (true) {
    std::array<pollfd, 3> ready{
        {{watch.event_fd(), POLLIN, 0}, {interruption_fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}}};
    const int count = ::poll(ready.data(), ready.size(), timeout_ms);
    if (interrupted() || (count > 0 && ready[2].revents != 0)) {
      return false;
    }
    if (count == 0) {
      return true;
    }
    KVFERRY_ASSIGN_OR_RETURN(const exchange::Changes changes, watch.wait(TimePoint::min()));
    if (!changes.empty()) {
      return true;
    }
  }
}

Outcome<int> watch_peers(const PeersOptions& options) {
  catch_interruption();
  Signers signers;
  KVFERRY_ASSIGN_OR_RETURN(auto opened, open_exchange(options.exchange));
  KVFERRY_ASSIGN_OR_RETURN(const auto exchange,
                           only_trusted(std::move(opened), options.trusted, signers));
  KVFERRY_ASSIGN_OR_RETURN(const auto watch, exchange->watch());
  while (true) {
    KVFERRY_ASSIGN_OR_RETURN(const std::vector<Peer> peers, find_peers(*exchange, signers));
    print_peers(peers, options.json);
    if (!flush_output()) {
      return kExitUnavailable;
    }
    KVFERRY_ASSIGN_OR_RETURN(const bool changed,
                             wait_for_change(*watch, until_a_lease_ends(peers)));
    if (!changed) {
      return kExitYes;
    }
    print(options.json ? "" : "\n");
  }
}

}  // namespace

int run_peers(const PeersOptions& options) {
  const Outcome<int> done = options.watch ? watch_peers(options) : show_peers(options);
  return done ? *done : fail(done.error(), options.json);
}

}  // namespace kvferry::tool
