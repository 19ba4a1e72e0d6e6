// SPDX-License-Identifier: Apache-2.0
#include "exchange_option.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "kvferry/base/try.hpp"
#include "kvferry/exchange/directory.hpp"

namespace kvferry::tool {
namespace {

constexpr std::string_view kDirectoryPrefix{"dir:"};
constexpr std::string_view kEtcdPrefix{"etcd:"};
constexpr std::chrono::seconds kExchangeTimeout{5};

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

/// The PATH of `dir:PATH`, or of the default for empty text.
Outcome<std::string> directory_of(std::string_view text) {
  const std::string named = text.empty() ? default_exchange() : std::string{text};
  if (named.starts_with(kEtcdPrefix)) {
    return invalid("exchange: '" + named + "': etcd is not known yet, only dir:PATH");
  }
  if (!named.starts_with(kDirectoryPrefix) || named.size() == kDirectoryPrefix.size()) {
    return usage("exchange: '" + named + "' is not dir:PATH");
  }
  return named.substr(kDirectoryPrefix.size());
}

}  // namespace

std::string default_exchange() {
  if (std::string named = environment("KVFERRY_EXCHANGE"); !named.empty()) {
    return named;
  }
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  return std::string{kDirectoryPrefix} +
         (runtime.empty() ? "/tmp/kvferry-" + std::to_string(::getuid()) : runtime + "/kvferry");
}

Outcome<std::unique_ptr<exchange::Exchange>> open_exchange(std::string_view text) {
  KVFERRY_ASSIGN_OR_RETURN(const std::string path, directory_of(text));
  KVFERRY_ASSIGN_OR_RETURN(std::unique_ptr<exchange::DirectoryExchange> opened,
                           exchange::DirectoryExchange::create(path));
  return std::unique_ptr<exchange::Exchange>{std::move(opened)};
}

Outcome<std::unique_ptr<exchange::Exchange>> find_exchange(std::string_view text) {
  KVFERRY_ASSIGN_OR_RETURN(const std::string path, directory_of(text));
  KVFERRY_ASSIGN_OR_RETURN(std::unique_ptr<exchange::DirectoryExchange> found,
                           exchange::DirectoryExchange::find(path));
  return std::unique_ptr<exchange::Exchange>{std::move(found)};
}

TimePoint exchange_deadline() { return deadline_after(SteadyClock{}.now(), kExchangeTimeout); }

}  // namespace kvferry::tool
