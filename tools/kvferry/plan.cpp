// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/plan.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "spec.hpp"
#include "words.hpp"

namespace kvferry::tool {
namespace {

// Without memory there is one way only; what a peer can do is known once it is imported.
constexpr std::string_view kRoute{"host copy"};

/// What is asked for, once the words are understood.
struct Question {
  Spec source;
  Spec destination;
  IdPairs blocks;
  plan::LayerRange layers;
  Assumption assumption;
};

/// What there is to print.
struct Answer {
  layout::Compatibility compatibility;
  plan::PlanSummary summary;
  std::string assumed;
};

Outcome<Question> parse(const PlanOptions& options) {
  Question question;
  KVFERRY_ASSIGN_OR_RETURN(question.source, parse_spec(options.from));
  KVFERRY_ASSIGN_OR_RETURN(question.destination, parse_spec(options.to));
  KVFERRY_ASSIGN_OR_RETURN(question.blocks, parse_id_pairs(options.blocks));
  if (options.layers) {
    KVFERRY_ASSIGN_OR_RETURN(question.layers, parse_layers(*options.layers));
  }
  if (options.assume) {
    KVFERRY_ASSIGN_OR_RETURN(question.assumption, parse_assumption(*options.assume));
    if (!std::holds_alternative<FileSpec>(question.source) &&
        !std::holds_alternative<FileSpec>(question.destination)) {
      return usage("assume: neither --from nor --to is a message");
    }
  }
  return question;
}

nlohmann::ordered_json json_of(const Answer& answer) {
  const plan::PlanSummary& summary = answer.summary;
  nlohmann::ordered_json reasons = nlohmann::ordered_json::array();
  for (const layout::Reason& reason : answer.compatibility.reasons) {
    reasons.push_back({{"field", reason.field},
                       {"left", reason.left},
                       {"right", reason.right},
                       {"advice", reason.advice}});
  }
  nlohmann::ordered_json document{
      {"ok", answer.compatibility.verdict != layout::Verdict::kImpossible},
      {"verdict", to_string(answer.compatibility.verdict)},
      {"reasons", std::move(reasons)},
      {"block_pairs", summary.block_pairs},
      {"bytes_useful", summary.bytes_useful},
      {"bytes_moved", summary.bytes_moved},
      {"runs_before", summary.runs_before},
      {"runs", summary.runs},
      {"smallest_run", summary.smallest_run},
      {"largest_run", summary.largest_run},
      {"coverage", summary.coverage},
      {"route", kRoute}};
  if (!answer.assumed.empty()) {
    document["assumed"] = answer.assumed;
  }
  return document;
}

std::string text_of(const Answer& answer) {
  const plan::PlanSummary& summary = answer.summary;
  std::string text = fmt::format("verdict      {}\n", to_string(answer.compatibility.verdict));
  for (const layout::Reason& reason : answer.compatibility.reasons) {
    text += fmt::format("reason       {} {} against {}: {}\n", reason.field, reason.left,
                        reason.right, reason.advice);
  }
  if (!answer.assumed.empty()) {
    text += fmt::format("assumed      {}\n", answer.assumed);
  }
  if (answer.compatibility.verdict == layout::Verdict::kImpossible) {
    return text;
  }
  text += fmt::format("block pairs  {}\n", summary.block_pairs);
  text += fmt::format("bytes        {} useful, {} moved\n", human_bytes(summary.bytes_useful),
                      human_bytes(summary.bytes_moved));
  text += fmt::format("runs         {}, before merging {}; smallest {}, largest {}\n", summary.runs,
                      summary.runs_before, human_bytes(summary.smallest_run),
                      human_bytes(summary.largest_run));
  text += fmt::format("coverage     {:g} %\n", 100 * summary.coverage);
  text += fmt::format("route        {}\n", kRoute);
  return text;
}

/// Prints each run with `separator` between its numbers; `first` and `next` go before it.
struct RunStyle {
  std::string_view first;
  std::string_view next;
  std::string_view separator;
  std::string_view end;
};

void print_runs(const plan::CopyPlan& plan, const RunStyle& style) {
  plan::RunCursor cursor = plan.cursor();
  std::string_view begin = style.first;
  for (Run run; cursor.next(run); begin = style.next) {
    const std::string_view s = style.separator;
    print(fmt::format("{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}", begin, run.source.region, s,
                      run.source.offset_bytes, s, run.destination.region, s,
                      run.destination.offset_bytes, s, run.bytes, s, run.count, s,
                      run.source.stride_bytes, s, run.destination.stride_bytes, style.end));
  }
}

/// Prints the answer, and the runs of `plan` if they are asked for. A list can be far larger than
/// memory, so it never becomes one document.
void print_answer(const PlanOptions& options, const Answer& answer, const plan::CopyPlan* plan) {
  if (options.json && options.list && plan != nullptr) {
    std::string text = json_of(answer).dump();
    text.pop_back();  // the closing brace
    print(text + ",\"runs_list\":[");
    print_runs(*plan, {"[", ",[", ",", "]"});
    print("]}\n");
  } else if (options.json) {
    print_json(json_of(answer));
  } else if (options.list) {
    print_error(text_of(answer));
    if (plan != nullptr) {
      print_runs(*plan, {"", "", " ", "\n"});
    }
  } else {
    print(text_of(answer));
  }
}

Outcome<int> answer(const PlanOptions& options) {
  KVFERRY_ASSIGN_OR_RETURN(const Question question, parse(options));
  KVFERRY_ASSIGN_OR_RETURN(const layout::LayoutView source,
                           view_of(question.source, question.assumption));
  KVFERRY_ASSIGN_OR_RETURN(const layout::LayoutView destination,
                           view_of(question.destination, question.assumption));
  Answer answer{layout::compatible(source, destination), {}, question.assumption.text()};
  if (answer.compatibility.verdict == layout::Verdict::kImpossible) {
    answer.summary.coverage = 0;
    print_answer(options, answer, nullptr);
    return fail(invalid("impossible: " + answer.compatibility.summary()));
  }
  const auto blocks_of = [](const layout::LayoutView& view) {
    return view.axis(layout::Axis::kBlock).extent;
  };
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<BlockId> source_ids,
                           expand_ids(question.blocks.source, blocks_of(source), "source"));
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<BlockId> destination_ids,
      expand_ids(question.blocks.destination, blocks_of(destination), "destination"));
  KVFERRY_ASSIGN_OR_RETURN(auto shape, plan::PlanTemplate::create(source, destination,
                                                                  {.layers = question.layers,
                                                                   .partial = options.partial}));
  KVFERRY_ASSIGN_OR_RETURN(
      const plan::CopyPlan plan,
      plan::CopyPlan::create(std::move(shape),
                             {.source = source_ids, .destination = destination_ids}));
  answer.summary = plan.summary();
  print_answer(options, answer, &plan);
  return kExitYes;
}

}  // namespace

int run_plan(const PlanOptions& options) {
  const Outcome<int> done = answer(options);
  return done ? *done : fail(done.error(), options.json);
}

}  // namespace kvferry::tool
