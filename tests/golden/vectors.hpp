// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kvferry/wire/message_view.hpp"
#include "kvferry/wire/metadata.hpp"

// What the original wrote and how it reads: the files under vectors/.

namespace kvferry::wire::golden {

using Json = nlohmann::json;
using Bytes = std::vector<std::byte>;

/// The JSON file of that name.
[[nodiscard]] Json read_json(const std::string& name);

/// The message file of that name.
[[nodiscard]] Bytes read_message(const std::string& name);

/// The rows of a JSON array that are about one format.
[[nodiscard]] std::vector<Json> rows_of(MessageFormat format, const Json& rows);

/// How a test of one format is called.
[[nodiscard]] std::string name_of_format(const ::testing::TestParamInfo<MessageFormat>& test);

[[nodiscard]] Bytes from_hex(const std::string& text);

/// A number that JSON may not hold exactly, as the vectors write it.
[[nodiscard]] Json integer(std::uint64_t value);

/// Where memory is, as the vectors write it.
[[nodiscard]] Json storage_value(StorageKind location);

/// A message as `value` of the vectors says it, built here from the structs alone.
[[nodiscard]] Json value_of(const RdmaLayoutDescriptors& message);

/// The same from the fields of a view.
[[nodiscard]] Json value_of(const MessageView& view);

/// The `lint` of the vectors: the names of the rules that a message breaks.
[[nodiscard]] Json lint_of(const MessageView& view);

/// `value` of the vectors with a blob that is given by length and digest replaced by its length,
/// and `actual` likewise. The bytes of such blobs are compared as part of the whole message.
void shorten_blob(const Json& expected, Json& actual);

}  // namespace kvferry::wire::golden
