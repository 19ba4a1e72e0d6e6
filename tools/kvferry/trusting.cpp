// SPDX-License-Identifier: Apache-2.0
#include "trusting.hpp"

#include <utility>

#if KVFERRY_HAS_TRUST
#include "kvferry/base/try.hpp"
#include "kvferry/exchange/checked.hpp"
#include "signing.hpp"
#endif

namespace kvferry::tool {

#if KVFERRY_HAS_TRUST
namespace {

/// A record is not signed: without this, whoever may write there could show one worker's message
/// as another's, or an old one as today's.
Result<void> check_record(const exchange::WorkerRecord& record, const wire::Envelope& envelope) {
  const auto differs = [](std::string_view field, const std::string& told,
                          const std::string& is_signed) -> Result<void> {
    return Error{ErrorCode::kRefused, std::string{field} + ": the exchange says " + told +
                                          ", the signed message " + is_signed};
  };
  const auto& [id, name] = envelope.worker_address;
  if (record.name != name) {
    return differs("name", record.name, name);
  }
  if (record.worker_id != id) {
    return differs("worker_id", std::to_string(record.worker_id.value()),
                   std::to_string(id.value()));
  }
  if (record.epoch != envelope.epoch) {
    return differs("epoch", to_string(record.epoch), to_string(envelope.epoch));
  }
  if (record.generation != envelope.generation) {
    return differs("generation", std::to_string(record.generation),
                   std::to_string(envelope.generation));
  }
  return {};
}

}  // namespace

Outcome<std::unique_ptr<exchange::Exchange>> only_trusted(
    std::unique_ptr<exchange::Exchange> exchange, const std::optional<std::string>& directory,
    Signers& signers) {
  if (!directory) {
    return exchange;
  }
  KVFERRY_ASSIGN_OR_RETURN(trust::TrustedKeys loaded, trust::TrustedKeys::load(*directory));
  if (exchange == nullptr) {
    return exchange;
  }
  // Shared because a std::function must be copyable; all copies are the exchange's.
  const auto trusted = std::make_shared<const trust::TrustedKeys>(std::move(loaded));
  const auto check = [trusted, &signers](const exchange::FetchedWorker& worker) -> Result<void> {
    const std::vector<std::byte>& bytes = worker.formats.begin()->second;
    KVFERRY_ASSIGN_OR_RETURN(const std::string signer, signer_of(bytes, *trusted));
    KVFERRY_ASSIGN_OR_RETURN(const wire::Envelope envelope, wire::decode_envelope(bytes));
    KVFERRY_RETURN_IF_ERROR(check_record(worker.found.record, envelope));
    signers[worker.found.record.name] = signer;
    return {};
  };
  return std::unique_ptr<exchange::Exchange>{std::make_unique<exchange::CheckedExchange>(
      std::move(exchange), std::vector<std::string>{std::string{kEnvelopeFile}}, check)};
}

Outcome<Sealing> sealing_with(const std::optional<std::string>& key_file) {
  if (!key_file) {
    return Sealing{};
  }
  KVFERRY_ASSIGN_OR_RETURN(trust::SigningKey loaded, trust::SigningKey::load(*key_file));
  // Shared because a std::function must be copyable, and a key is not.
  const auto key = std::make_shared<const trust::SigningKey>(std::move(loaded));
  return Sealing{[key](std::span<const std::byte> bytes) { return sign(bytes, *key); }};
}
#else
Outcome<std::unique_ptr<exchange::Exchange>> only_trusted(
    std::unique_ptr<exchange::Exchange> exchange, const std::optional<std::string>& directory,
    Signers& /*signers*/) {
  if (directory) {
    return signatures_left_out();
  }
  return exchange;
}

Outcome<Sealing> sealing_with(const std::optional<std::string>& key_file) {
  if (key_file) {
    return signatures_left_out();
  }
  return Sealing{};
}
#endif

}  // namespace kvferry::tool
