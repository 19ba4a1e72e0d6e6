// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"
#include "outcome.hpp"

#if KVFERRY_HAS_TRUST
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "kvferry/base/try.hpp"
#include "kvferry/trust/signing_key.hpp"
#endif

namespace kvferry::tool {

#if KVFERRY_HAS_TRUST
namespace {

/// Writes both files, or none of them.
Result<trust::PublicKey> make_keys(const std::string& file, const std::string& public_file) {
  KVFERRY_ASSIGN_OR_RETURN(const trust::SigningKey key, trust::SigningKey::generate());
  // In this order: a public key without its secret is of no use to anybody, and can be taken back.
  KVFERRY_RETURN_IF_ERROR(key.public_key().save(public_file));
  if (Result<void> saved = key.save(file); !saved) {
    ::unlink(public_file.c_str());
    return std::move(saved).error();
  }
  return key.public_key();
}

}  // namespace

int run_keygen(const KeygenOptions& options) {
  const std::string public_file = options.file + ".pub";
  const Result<trust::PublicKey> key = make_keys(options.file, public_file);
  if (!key) {
    return fail(Failure{key.error()}, options.json);
  }
  if (options.json) {
    print_json({{"ok", true},
                {"secret_file", options.file},
                {"public_file", public_file},
                {"public_key", key->to_string()}});
    return kExitYes;
  }
  print(fmt::format("secret key  {}: keep it where it is, it signs your messages\n", options.file));
  print(fmt::format("public key  {}: give it to who reads them\n", public_file));
  print(fmt::format("            {}\n", key->to_string()));
  return kExitYes;
}
#else
int run_keygen(const KeygenOptions& options) { return fail(signatures_left_out(), options.json); }
#endif

}  // namespace kvferry::tool
