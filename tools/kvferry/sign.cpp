// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"
#include "outcome.hpp"

#if KVFERRY_HAS_TRUST
#include <fmt/format.h>

#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/wire/limits.hpp"
#include "signing.hpp"
#endif

namespace kvferry::tool {

#if KVFERRY_HAS_TRUST
namespace {

Result<void> sign_file(const SignOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const auto key, trust::SigningKey::load(options.key_file));
  KVFERRY_ASSIGN_OR_RETURN(const auto bytes,
                           read_input(options.file, wire::WireLimits{}.message_bytes));
  auto done = sign(bytes, key);
  if (!done) {
    return std::move(done).error().with_context(options.file);
  }
  const std::string output = options.output.value_or(options.file);
  if (output == "-") {
    print({reinterpret_cast<const char*>(done->data()), done->size()});
    return {};
  }
  KVFERRY_RETURN_IF_ERROR(replace_output(output, *done));
  print(fmt::format("{}: signed by {}\n", output, key.public_key().to_string()));
  return {};
}

}  // namespace

int run_sign(const SignOptions& options) {
  const Result<void> done = sign_file(options);
  return done ? kExitYes : fail(done.error());
}
#else
int run_sign(const SignOptions& /*options*/) { return fail(signatures_left_out()); }
#endif

}  // namespace kvferry::tool
