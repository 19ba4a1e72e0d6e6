// SPDX-License-Identifier: Apache-2.0
// Any text is a number, a time, ids, layers or assumptions of the command line, or wrong words.
// What is read keeps its bounds, and written out is read again the same; what is printed of it is
// printable ASCII.
#include "words.hpp"

#include <algorithm>

#include "fuzz/fuzz.hpp"
#include "output.hpp"

namespace kvferry::fuzz {
namespace {

template <class T>
bool is_there(const tool::Outcome<T>& outcome) {
  if (!outcome) {
    const int code = outcome.error().exit_code;
    must(code == tool::kExitUsage || code == tool::kExitInvalid, "wrong words are wrong words");
    must(!outcome.error().message.empty(), "a refusal says why");
  }
  return outcome.has_value();
}

void check_number(std::string_view text) {
  constexpr std::string_view kMax{"18446744073709551615"};
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
  const std::string_view significant =
      text.substr(std::min(text.find_first_not_of('0'), text.empty() ? 0 : text.size() - 1));
  const bool fits = significant.size() < kMax.size() ||
                    (significant.size() == kMax.size() && significant <= kMax);
  const auto number = tool::parse_number("number", text);
  must(is_there(number) == (digits && fits), "a number is digits that fit into 64 bits");
  must(!number || std::to_string(*number) == significant, "a number is what its digits say");
}

void check_duration(std::string_view text) {
  const auto duration = tool::parse_duration("time", text);
  must(!is_there(duration) ||
           (*duration >= Duration::zero() && *duration <= std::chrono::hours{365 * 24}),
       "a time is at most a year");
}

std::string text_of(const tool::IdList& list) {
  std::string text;
  for (const tool::IdRange& range : list) {
    text +=
        (text.empty() ? "" : ",") + std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return text;
}

void check_list(const tool::IdList& list) {
  must(!list.empty(), "a list names something");
  const auto again = tool::parse_ids(text_of(list));
  must(again.has_value() && *again == list, "ids written out are read again");
  // Few blocks, so that a list of many ranges stays short.
  constexpr std::uint64_t kBlocks{64};
  const auto ids = tool::expand_ids(list, kBlocks, "source");
  const bool fits =
      std::ranges::all_of(list, [](tool::IdRange range) { return range.last < kBlocks; });
  must(is_there(ids) == fits, "ids expand when there are such blocks");
  if (ids) {
    std::uint64_t count{0};
    for (const tool::IdRange& range : list) {
      must(range.first <= range.last, "a range goes up");
      count += range.last - range.first + 1;
    }
    must(ids->size() == count, "each id of each range is there");
    must(ids->front().value() == list.front().first && ids->back().value() == list.back().last,
         "ids keep their order");
  }
}

void check_ids(std::string_view text) {
  if (const auto list = tool::parse_ids(text); is_there(list)) {
    check_list(*list);
  }
  if (const auto pairs = tool::parse_id_pairs(text); is_there(pairs)) {
    check_list(pairs->source);
    check_list(pairs->destination);
  }
}

void check_layers(std::string_view text) {
  const auto layers = tool::parse_layers(text);
  if (is_there(layers)) {
    must(layers->first <= layers->end && layers->end != plan::LayerRange::kAll,
         "layers go up and end");
    const auto again =
        tool::parse_layers(std::to_string(layers->first) + ":" + std::to_string(layers->end));
    must(again && again->first == layers->first && again->end == layers->end,
         "layers written out are read again");
  }
}

void check_assumption(std::string_view text) {
  const auto assumption = tool::parse_assumption(text);
  if (is_there(assumption)) {
    must(!assumption->is_empty(), "assumptions that are read say something");
    const std::size_t comma = text.find(',');
    if (comma != std::string_view::npos) {
      std::string other{text.substr(comma + 1)};
      other.append(",").append(text.substr(0, comma));
      const auto again = tool::parse_assumption(other);
      must(again && *again == *assumption, "assumptions may stand in any order");
    }
  }
}

}  // namespace

void one_input(std::span<const std::byte> input) {
  const std::string_view text = as_text(input);
  check_number(text);
  check_duration(text);
  check_ids(text);
  check_layers(text);
  check_assumption(text);
  (void)is_there(tool::parse_order(text));
  must(std::ranges::all_of(tool::printable(text), [](char c) { return ' ' <= c && c <= '~'; }),
       "what is printed is printable");
}

}  // namespace kvferry::fuzz
