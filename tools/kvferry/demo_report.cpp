// SPDX-License-Identifier: Apache-2.0
#include "demo_report.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "html.hpp"
#include "output.hpp"

namespace kvferry::tool {
namespace {

constexpr std::string_view kMemcpyTitle{"memcpy, pieces of 64 KiB"};

/// The transfers as a terminal and a page show them, the heads first.
std::vector<std::vector<std::string>> rows_of(const Demo& demo) {
  std::vector<std::vector<std::string>> rows{
      {"transfer", "from", "to", "blocks", "bytes", "runs before", "after", "ms", "GB/s", "check"}};
  for (const Act& act : demo.acts) {
    const transfer::TransferReport& report = act.story.report;
    rows.push_back(
        {act.title, act.from, act.to, std::to_string(act.story.blocks),
         human_bytes(report.bytes_moved), std::to_string(report.plan.runs_before),
         std::to_string(report.plan.runs),
         fmt::format("{:.1f}", std::chrono::duration<double>{report.transfer_time}.count() * 1e3),
         fmt::format("{:.1f}", gb_per_s(report)),
         report.ok() ? "every byte checked" : report.error->message});
  }
  return rows;
}

std::string text_of(const std::vector<std::string>& layouts) {
  return fmt::format("{}", fmt::join(layouts, "; "));
}

std::string end_of(const Demo& demo) {
  return fmt::format("{} in {:.1f} s", demo.ok() ? "all right" : "NOT right", demo.seconds);
}

}  // namespace

nlohmann::ordered_json json_of(const Demo& demo) {
  nlohmann::ordered_json processes = nlohmann::ordered_json::array();
  for (const DemoProcess& process : demo.processes) {
    processes.push_back(
        {{"pid", process.pid}, {"role", process.role}, {"layouts", process.layouts}});
  }
  nlohmann::ordered_json transfers = nlohmann::ordered_json::array();
  for (const Act& act : demo.acts) {
    nlohmann::ordered_json transfer{{"title", act.title}, {"from", act.from}, {"to", act.to}};
    transfer.update(json_of(act.story));
    transfers.push_back(std::move(transfer));
  }
  return {{"ok", demo.ok()},
          {"geometry", demo.geometry},
          {"processes", std::move(processes)},
          {"message", {{"format", "A"}, {"bytes", demo.message_bytes}}},
          {"memcpy_gb_per_s", demo.race.memcpy_gb_per_s},
          {"ratio", demo.race.ratio},
          {"seconds", demo.seconds},
          {"transfers", std::move(transfers)}};
}

std::string text_of(const Demo& demo) {
  std::string text;
  for (const DemoProcess& process : demo.processes) {
    text += fmt::format("{:<8} process {}: {} blocks of {}: {}\n", process.role, process.pid,
                        demo.blocks, demo.geometry, text_of(process.layouts));
  }
  text += fmt::format("message  {} bytes of format A, through a directory\n\n", demo.message_bytes);
  auto rows = rows_of(demo);
  Table table{rows.front()};
  for (std::size_t row = 1; row < rows.size(); ++row) {
    table.add_row(std::move(rows[row]));
  }
  text += table.to_string();
  text += fmt::format(
      "\nmemcpy of as many bytes in pieces of 64 KiB, in turns with the first: {:.1f} GB/s; ratio "
      "{:.2f}\n",
      demo.race.memcpy_gb_per_s, demo.race.ratio);
  return text + end_of(demo) + "\n";
}

std::string html_of(const Demo& demo) {
  std::vector<Bar> bars{{std::string{kMemcpyTitle}, demo.race.memcpy_gb_per_s, true}};
  for (const Act& act : demo.acts) {
    bars.push_back({act.title, gb_per_s(act.story.report), false});
  }
  std::vector<std::vector<std::string>> processes{{"role", "process", "layouts"}};
  for (const DemoProcess& process : demo.processes) {
    processes.push_back({process.role, std::to_string(process.pid), text_of(process.layouts)});
  }
  std::string body = html_paragraph(fmt::format(
      "Two processes, each with {} blocks of {}, found each other through a directory in which one "
      "published a message of format A ({} bytes). The other pulled the blocks into layouts of its "
      "own and compared every byte with what it must be.",
      demo.blocks, demo.geometry, demo.message_bytes));
  body += html_paragraph(end_of(demo));
  body += html_heading("Processes") + html_table(processes);
  body += html_heading("Transfers") + html_table(rows_of(demo));
  body += html_paragraph(
      "Runs are contiguous copies: those inside one block, layer and outer before neighbours are "
      "merged, and those that are really copied after.");
  body += html_heading("Speed") + html_bars(bars, "GB/s");
  body += html_paragraph(
      fmt::format("The first transfer and memcpy ran in turns, as many bytes each, on one thread; "
                  "the median ratio of their rates is {:.2f}.",
                  demo.race.ratio));
  return html_document("kvferry demo", body);
}

}  // namespace kvferry::tool
