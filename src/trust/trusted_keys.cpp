// SPDX-License-Identifier: Apache-2.0
#include "kvferry/trust/trusted_keys.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.hpp"
#include "base/unique_fd.hpp"
#include "kvferry/base/try.hpp"
#include "trust/files.hpp"
#include "trust/key_file.hpp"

namespace kvferry::trust {
namespace {

constexpr std::string_view kSuffix{".pub"};
constexpr std::size_t kNameMax = 128;

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

/// Whether `file` is one of what a shell finds for *.pub.
bool is_key_file(std::string_view file) { return file.ends_with(kSuffix) && file.front() != '.'; }

/// What stands before ".pub": it is printed, so it must be harmless on a terminal.
Result<std::string> name_of(std::string_view file) {
  const std::string_view name = file.substr(0, file.size() - kSuffix.size());
  if (name.size() > kNameMax || !std::ranges::all_of(name, is_printable)) {
    std::string shown{file};
    std::ranges::replace_if(
        shown, [](char c) { return !is_printable(c); }, '?');
    return Error{ErrorCode::kRefused, shown + ": the name of a key is at most " +
                                          std::to_string(kNameMax) + " printable characters"};
  }
  return std::string{name};
}

Result<void> add_key(int directory, const std::string& file,
                     std::map<PublicKey, std::string>& names) {
  KVFERRY_ASSIGN_OR_RETURN(std::string name, name_of(file));
  KVFERRY_ASSIGN_OR_RETURN(const std::string text, read_public_file(directory, file));
  const Result<PublicKey> key = decode_public_file(text);
  if (!key) {
    return Error{key.error()}.with_context(file);
  }
  const auto [place, is_new] = names.try_emplace(*key, std::move(name));
  if (!is_new) {
    return Error{ErrorCode::kRefused,
                 file + ": holds the key of " + place->second + std::string{kSuffix}};
  }
  return {};
}

}  // namespace

TrustedKeys::TrustedKeys(std::map<PublicKey, std::string> names) noexcept
    : names_{std::move(names)} {}

Result<TrustedKeys> TrustedKeys::load(const std::string& directory, const TrustLimits& limits) {
  KVFERRY_ASSIGN_OR_RETURN(const UniqueFd folder, open_own_directory(directory));
  Result<std::vector<std::string>> files = file_names(folder.get(), limits.files);
  if (!files) {
    return std::move(files).error().with_context(directory);
  }
  std::map<PublicKey, std::string> names;
  for (const std::string& file : *files) {
    if (!is_key_file(file)) {
      continue;
    }
    if (Result<void> added = add_key(folder.get(), file, names); !added) {
      return std::move(added).error().with_context(directory);
    }
  }
  return TrustedKeys{std::move(names)};
}

Result<std::string> TrustedKeys::verify(std::span<const std::byte> message,
                                        const Signature& signature, const PublicKey& key) const {
  const auto found = names_.find(key);
  if (found == names_.end()) {
    return Error{ErrorCode::kRefused, "key " + key.to_string() + " is not trusted: it is none of " +
                                          std::to_string(names_.size())};
  }
  if (Result<void> good = trust::verify(message, signature, key); !good) {
    return std::move(good).error().with_context(found->second);
  }
  return found->second;
}

}  // namespace kvferry::trust
