// SPDX-License-Identifier: Apache-2.0
#include "kvferry/plan/gather.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.hpp"
#include "files.hpp"
#include "kvferry/base/try.hpp"
#include "kvferry/layout/compatibility.hpp"
#include "nesting.hpp"
#include "outcome.hpp"
#include "output.hpp"
#include "plan_drawing.hpp"
#include "spec.hpp"
#include "words.hpp"

namespace kvferry::tool {
namespace {

// Without memory there is one way only; what a peer can do is known once it is imported.
constexpr std::string_view kRoute{"host copy"};

/// Lines over a drawing; each of many sources has its reasons.
constexpr std::size_t kMostCaptions = 5;

/// What is asked for, once the words are understood.
struct Question {
  std::vector<Spec> sources;
  Spec destination;
  IdPairs blocks;
  plan::LayerRange layers;
  layout::Assumptions assumption;
};

/// The plans of a layout's data and of each of its planes, which move together.
using Gathers = std::vector<plan::Gather>;

/// What there is to print.
struct Answer {
  std::vector<layout::Compatibility> compatibilities;  ///< of each source
  plan::PlanSummary summary;
  std::string assumed;
  std::vector<std::string> planes{};  ///< counted with the data

  /// Which source it is, where there are several.
  [[nodiscard]] std::string name_of(std::ptrdiff_t source) const {
    return compatibilities.size() > 1 ? fmt::format("source {}: ", source) : std::string{};
  }
  /// The worst of all.
  [[nodiscard]] layout::Verdict verdict() const {
    return std::ranges::max_element(compatibilities, {}, &layout::Compatibility::verdict)->verdict;
  }
};

Outcome<Question> parse(const PlanOptions& options) {
  Question question;
  for (const std::string& from : options.from) {
    KVFERRY_ASSIGN_OR_RETURN(Spec source, parse_spec(from));
    question.sources.push_back(std::move(source));
  }
  KVFERRY_ASSIGN_OR_RETURN(question.destination, parse_spec(options.to));
  KVFERRY_ASSIGN_OR_RETURN(question.blocks, parse_id_pairs(options.blocks));
  if (options.layers) {
    KVFERRY_ASSIGN_OR_RETURN(question.layers, parse_layers(*options.layers));
  }
  if (options.assume) {
    KVFERRY_ASSIGN_OR_RETURN(question.assumption, parse_assumption(*options.assume));
    const auto is_message = [](const Spec& spec) { return std::holds_alternative<FileSpec>(spec); };
    if (std::ranges::none_of(question.sources, is_message) && !is_message(question.destination)) {
      return usage("assume: neither --from nor --to is a message");
    }
  }
  return question;
}

nlohmann::ordered_json reasons_json(const layout::Compatibility& compatibility) {
  nlohmann::ordered_json reasons = nlohmann::ordered_json::array();
  for (const layout::Reason& reason : compatibility.reasons) {
    reasons.push_back({{"field", reason.field},
                       {"left", reason.left},
                       {"right", reason.right},
                       {"advice", reason.advice}});
  }
  return reasons;
}

std::string text_of(const layout::Reason& reason) {
  return fmt::format("{} {} against {}: {}", reason.field, reason.left, reason.right,
                     reason.advice);
}

nlohmann::ordered_json json_of(const Answer& answer) {
  const plan::PlanSummary& summary = answer.summary;
  nlohmann::ordered_json reasons = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < answer.compatibilities.size(); ++i) {
    for (nlohmann::ordered_json& reason : reasons_json(answer.compatibilities[i])) {
      if (answer.compatibilities.size() > 1) {
        reason["source"] = i;
      }
      reasons.push_back(std::move(reason));
    }
  }
  nlohmann::ordered_json document{{"ok", answer.verdict() != layout::Verdict::kImpossible},
                                  {"verdict", to_string(answer.verdict())},
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
  if (!answer.planes.empty()) {
    document["planes"] = answer.planes;
  }
  return document;
}

std::string text_of(const Answer& answer) {
  const plan::PlanSummary& summary = answer.summary;
  std::string text = fmt::format("verdict      {}\n", to_string(answer.verdict()));
  for (std::size_t i = 0; i < answer.compatibilities.size(); ++i) {
    for (const layout::Reason& reason : answer.compatibilities[i].reasons) {
      text += fmt::format("reason       {}{}\n", answer.name_of(static_cast<std::ptrdiff_t>(i)),
                          text_of(reason));
    }
  }
  if (!answer.assumed.empty()) {
    text += fmt::format("assumed      {}\n", answer.assumed);
  }
  if (answer.verdict() == layout::Verdict::kImpossible) {
    return text;
  }
  if (!answer.planes.empty()) {
    text += fmt::format("planes       {}, moved with the blocks\n", fmt::join(answer.planes, ", "));
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

void print_runs(const plan::GatherPart& part, bool several, std::string_view& begin,
                const RunStyle& style) {
  const std::string source =
      several ? fmt::format("{}{}", part.source, style.separator) : std::string{};
  plan::RunCursor cursor = part.plan.cursor();
  for (Run run; cursor.next(run); begin = style.next) {
    const std::string_view s = style.separator;
    print(fmt::format("{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}", begin, source, run.source.region, s,
                      run.source.offset_bytes, s, run.destination.region, s,
                      run.destination.offset_bytes, s, run.bytes, s, run.count, s,
                      run.source.stride_bytes, s, run.destination.stride_bytes, style.end));
  }
}

void print_runs(const Gathers& gathers, bool several, const RunStyle& style) {
  std::string_view begin = style.first;
  for (const plan::Gather& gather : gathers) {
    for (const plan::GatherPart& part : gather.parts()) {
      print_runs(part, several, begin, style);
    }
  }
}

/// Prints the answer, and the runs if they are asked for and there are plans. A list can be far
/// larger than memory, so it never becomes one document.
void print_answer(const PlanOptions& options, const Answer& answer, const Gathers& gathers) {
  const bool several = options.from.size() > 1;
  if (options.json && options.list && !gathers.empty()) {
    std::string text = json_of(answer).dump();
    text.pop_back();  // the closing brace
    print(text + ",\"runs_list\":[");
    print_runs(gathers, several, {"[", ",[", ",", "]"});
    print("]}\n");
  } else if (options.json) {
    print_json(json_of(answer));
  } else if (options.list || options.svg == "-") {
    print_error(text_of(answer));
    if (options.list) {
      print_runs(gathers, several, {"", "", " ", "\n"});
    }
  } else {
    print(text_of(answer));
  }
}

/// The ids of the sources' blocks, which all of them have.
Outcome<std::vector<BlockId>> source_ids_of(const IdList& ids,
                                            std::span<const SpecLayout> sources) {
  std::uint64_t fewest = std::numeric_limits<std::uint64_t>::max();
  for (const SpecLayout& source : sources) {
    fewest = std::min(fewest, source.view.axis(layout::Axis::kBlock).extent);
  }
  return expand_ids(ids, fewest, "source");
}

std::vector<layout::LayoutView> views_of(std::span<const SpecLayout> sources) {
  std::vector<layout::LayoutView> views;
  std::ranges::transform(sources, std::back_inserter(views), &SpecLayout::view);
  return views;
}

/// Of layouts that have the same planes.
Result<Gathers> plan_all(std::span<const SpecLayout> sources, const SpecLayout& destination,
                         const plan::BlockPairs& blocks, const plan::TemplateOptions& how) {
  Gathers gathers;
  KVFERRY_ASSIGN_OR_RETURN(plan::Gather data,
                           plan::Gather::create(views_of(sources), destination.view, blocks, how));
  gathers.push_back(std::move(data));
  for (const layout::Plane& plane : destination.planes) {
    std::vector<layout::LayoutView> views;
    for (const SpecLayout& source : sources) {
      views.push_back(layout::find_plane(source.planes, plane.name)->view);
    }
    auto gather = plan::Gather::create(views, plane.view, blocks, how);
    if (!gather) {
      return std::move(gather).error().with_context("plane " + printable(plane.name));
    }
    gathers.push_back(*std::move(gather));
  }
  return gathers;
}

/// The numbers of a plan in a few lines.
std::vector<std::string> captions_of(const Answer& answer) {
  const plan::PlanSummary& summary = answer.summary;
  std::vector<std::string> captions{
      fmt::format("{}; {}, {} moved, {:g} % of the destination blocks covered",
                  to_string(answer.verdict()), counted(summary.block_pairs, "block pair"),
                  size_text(summary.bytes_moved), 100 * summary.coverage),
      fmt::format("{} copies, {} before merging neighbours; the smallest of {}, the largest of {}",
                  summary.runs, summary.runs_before, size_text(summary.smallest_run),
                  size_text(summary.largest_run))};
  if (!answer.assumed.empty()) {
    captions.push_back("assumed: " + answer.assumed);
  }
  if (!answer.planes.empty()) {
    captions.push_back(
        fmt::format("counted, but not drawn: planes {}", fmt::join(answer.planes, ", ")));
  }
  for (const layout::Compatibility& found : answer.compatibilities) {
    for (const layout::Reason& reason : found.reasons) {
      const std::string text = text_of(reason);
      if (captions.size() < kMostCaptions && std::ranges::find(captions, text) == captions.end()) {
        captions.push_back(text);
      }
    }
  }
  return captions;
}

/// Draws a plan into the file that was asked for.
Result<void> draw(const PlanOptions& options, const Answer& answer, const PlannedMove& move) {
  const PlanTexts texts{options.from, options.to, captions_of(answer)};
  KVFERRY_ASSIGN_OR_RETURN(const std::string drawing, draw_plan(move, texts));
  if (options.svg == "-") {
    print(drawing);
    return {};
  }
  return replace_output(*options.svg, std::as_bytes(std::span{drawing.data(), drawing.size()}));
}

Outcome<int> answer(const PlanOptions& options) {
  if (options.svg == "-" && (options.json || options.list)) {
    return usage("svg: standard output is that of --json and --list; name a file");
  }
  KVFERRY_ASSIGN_OR_RETURN(const Question question, parse(options));
  std::vector<SpecLayout> sources;
  for (const Spec& spec : question.sources) {
    KVFERRY_ASSIGN_OR_RETURN(SpecLayout source, layout_of(spec, question.assumption));
    sources.push_back(std::move(source));
  }
  KVFERRY_ASSIGN_OR_RETURN(const SpecLayout destination,
                           layout_of(question.destination, question.assumption));
  Answer answer{{}, {}, to_string(question.assumption)};
  std::ranges::transform(destination.planes, std::back_inserter(answer.planes),
                         &layout::Plane::name);
  std::vector<layout::Compared> compared;
  for (const SpecLayout& source : sources) {
    compared.push_back(source.compared());
    answer.compatibilities.push_back(layout::compatible(compared.back(), destination.compared()));
  }
  if (auto found = layout::differing_source(compared)) {
    layout::Compatibility& of_source = answer.compatibilities[found->source];
    of_source.verdict = layout::Verdict::kImpossible;
    of_source.reasons.insert(of_source.reasons.begin(), std::move(found->reason));
  }
  if (answer.verdict() == layout::Verdict::kImpossible) {
    answer.summary.coverage = 0;
    print_answer(options, answer, {});
    const auto worst = std::ranges::find(answer.compatibilities, layout::Verdict::kImpossible,
                                         &layout::Compatibility::verdict);
    return fail(invalid("impossible: " + answer.name_of(worst - answer.compatibilities.begin()) +
                        worst->summary()));
  }
  KVFERRY_ASSIGN_OR_RETURN(const std::vector<BlockId> source_ids,
                           source_ids_of(question.blocks.source, sources));
  KVFERRY_ASSIGN_OR_RETURN(
      const std::vector<BlockId> destination_ids,
      expand_ids(question.blocks.destination, destination.view.axis(layout::Axis::kBlock).extent,
                 "destination"));
  const plan::BlockPairs blocks{.source = source_ids, .destination = destination_ids};
  KVFERRY_ASSIGN_OR_RETURN(const Gathers gathers,
                           plan_all(sources, destination, blocks,
                                    {.layers = question.layers, .partial = options.partial}));
  for (const plan::Gather& gather : gathers) {
    answer.summary.add(gather.summary());
  }
  if (options.svg) {
    const std::vector<layout::LayoutView> views = views_of(sources);
    KVFERRY_RETURN_IF_ERROR(draw(options, answer,
                                 {.sources = views,
                                  .destination = destination.view,
                                  .gather = gathers.front(),
                                  .blocks = blocks,
                                  .layers = question.layers}));
  }
  print_answer(options, answer, gathers);
  return kExitYes;
}

std::string text_of(const layout::AxisSpan& span) {
  return fmt::format("{}:{} of {}", span.origin, span.origin + span.extent, span.whole);
}

/// Adds in what parts of the model the two differ, which is nothing to a gather: it may have other
/// sources.
void compare_parts(const layout::AxisSpan& left, const layout::AxisSpan& right, std::string field,
                   layout::Compatibility& found) {
  if (left.origin == right.origin && left.extent == right.extent) {
    return;
  }
  const std::uint64_t ends = std::min(left.origin + left.extent, right.origin + right.extent);
  const std::uint64_t begins = std::max(left.origin, right.origin);
  layout::Reason reason{std::move(field), text_of(left), text_of(right), ""};
  if (ends <= begins) {
    found.verdict = layout::Verdict::kImpossible;
    reason.advice = "they hold different parts of the model";
  } else if (ends - begins == right.extent) {
    reason.advice = "the right one is a part of the left one";
  } else {
    reason.advice = "the rest has to come from other sources, or blocks stay partial";
  }
  found.reasons.push_back(std::move(reason));
}

void compare_heads(const layout::LayoutView& left, const layout::LayoutView& right,
                   std::string field, layout::Compatibility& found) {
  if (!left.is_opaque() && !right.is_opaque()) {
    compare_parts(left.axis(layout::Axis::kHead), right.axis(layout::Axis::kHead), std::move(field),
                  found);
  }
}

Outcome<int> compare(const DiffOptions& options) {
  layout::Assumptions assumption;
  if (options.assume) {
    KVFERRY_ASSIGN_OR_RETURN(assumption, parse_assumption(*options.assume));
  }
  KVFERRY_ASSIGN_OR_RETURN(const Spec left, parse_spec(options.left));
  KVFERRY_ASSIGN_OR_RETURN(const Spec right, parse_spec(options.right));
  KVFERRY_ASSIGN_OR_RETURN(const SpecLayout left_layout, layout_of(left, assumption));
  KVFERRY_ASSIGN_OR_RETURN(const SpecLayout right_layout, layout_of(right, assumption));
  layout::Compatibility found = layout::compatible(left_layout.compared(), right_layout.compared());
  if (found.verdict != layout::Verdict::kImpossible) {
    compare_parts(left_layout.view.axis(layout::Axis::kLayer),
                  right_layout.view.axis(layout::Axis::kLayer), "layers", found);
    compare_heads(left_layout.view, right_layout.view, "heads", found);
    for (const layout::Plane& plane : left_layout.planes) {  // Of the layers of their data.
      compare_heads(plane.view, layout::find_plane(right_layout.planes, plane.name)->view,
                    fmt::format("plane \"{}\": heads", plane.name), found);
    }
  }
  if (options.json) {
    print_json({{"verdict", to_string(found.verdict)}, {"reasons", reasons_json(found)}});
  } else {
    print(fmt::format("{}\n", to_string(found.verdict)));
    for (const layout::Reason& reason : found.reasons) {
      print(fmt::format("  {}\n", text_of(reason)));
    }
  }
  return found.verdict == layout::Verdict::kImpossible ? kExitNo : kExitYes;
}

}  // namespace

int run_plan(const PlanOptions& options) {
  const Outcome<int> done = answer(options);
  return done ? *done : fail(done.error(), options.json);
}

int run_diff(const DiffOptions& options) {
  const Outcome<int> done = compare(options);
  return done ? *done : fail(done.error(), options.json);
}

}  // namespace kvferry::tool
