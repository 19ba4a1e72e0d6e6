// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "output.hpp"

namespace kvferry::tool {
namespace {

nlohmann::ordered_json ids_json(const std::vector<BlockId>& blocks) {
  nlohmann::ordered_json ids = nlohmann::ordered_json::array();
  for (const BlockId block : blocks) {
    ids.push_back(block.value());
  }
  return ids;
}

double seconds(Duration duration) { return std::chrono::duration<double>{duration}.count(); }

}  // namespace

TransferStory refused_story(const Error& error, std::vector<BlockId> blocks) {
  TransferStory story;
  story.blocks = blocks.size();
  story.report.error = error;
  story.report.plan.coverage = 0;
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  story.report.bad_blocks = std::move(blocks);
  return story;
}

double gb_per_s(const transfer::TransferReport& report) {
  const double time = seconds(report.transfer_time);
  return time > 0 ? static_cast<double>(report.bytes_moved) / time / 1e9 : 0;
}

nlohmann::ordered_json json_of(const TransferStory& story) {
  const transfer::TransferReport& report = story.report;
  nlohmann::ordered_json document{{"ok", report.ok()},
                                  {"blocks", story.blocks},
                                  {"bytes", report.plan.bytes_useful},
                                  {"bytes_moved", report.bytes_moved},
                                  {"seconds", seconds(report.transfer_time)},
                                  {"gb_per_s", gb_per_s(report)},
                                  {"route", report.route},
                                  {"runs", report.plan.runs},
                                  {"runs_before", report.plan.runs_before},
                                  {"verified", story.verified},
                                  {"verify_seconds", story.verify_seconds},
                                  {"coverage", report.plan.coverage},
                                  {"bad_blocks", ids_json(report.bad_blocks)},
                                  {"quiet", report.quiet}};
  if (report.plan.coverage < 1 && report.ok()) {
    document["partial_blocks"] = ids_json(report.partial_blocks);
  }
  if (!report.assumed.empty()) {
    document["assumed"] = report.assumed;
  }
  if (story.fault.has_value() && story.fault->struck) {
    document["fault_at"] = story.fault->fault_at;
    document["fault_bytes_moved"] = story.fault->bytes_moved;
  }
  if (report.error.has_value()) {
    document["error"] = {{"code", to_string(report.error->code)},
                         {"message", report.error->message}};
  }
  return document;
}

std::string text_of(const std::vector<BlockId>& blocks) {
  std::string text;
  for (std::size_t i = 0; i < blocks.size();) {
    std::size_t last = i;
    while (last + 1 < blocks.size() && blocks[last + 1].value() == blocks[last].value() + 1) {
      ++last;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ",", blocks[i].value());
    if (last > i) {
      text += fmt::format("-{}", blocks[last].value());
    }
    i = last + 1;
  }
  return text;
}

std::string text_of(const TransferStory& story) {
  const transfer::TransferReport& report = story.report;
  std::string text = fmt::format(
      "{} blocks, {} over {} in {:.2f} ms: {:.1f} GB/s, {} runs merged into {}", story.blocks,
      human_bytes(report.bytes_moved), report.route.empty() ? "no route" : report.route,
      seconds(report.transfer_time) * 1e3, gb_per_s(report), report.plan.runs_before,
      report.plan.runs);
  if (!report.assumed.empty()) {
    text += fmt::format("; assumed {}", report.assumed);
  }
  if (story.verified != "none") {
    text += fmt::format("; {} ({}, {:.2f} ms)", report.ok() ? "every byte checked" : "checked",
                        story.verified, story.verify_seconds * 1e3);
  }
  if (!report.partial_blocks.empty()) {
    text += fmt::format("; PARTIAL, {:.0f} % of blocks {}", report.plan.coverage * 100,
                        text_of(report.partial_blocks));
  }
  if (!report.bad_blocks.empty()) {
    text += fmt::format("; bad blocks {}", text_of(report.bad_blocks));
  }
  if (!report.quiet) {
    text += "; NOT quiet: the destination is in quarantine";
  }
  return text;
}

}  // namespace kvferry::tool
