// SPDX-License-Identifier: Apache-2.0
#include "cli/moves_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/all_nodes_view.h"
#include "cli/plan_view.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

using core::Move;
using core::TrafficMoves;

std::vector<std::string> names_of(const Move& move, const MovesView& view) {
  std::vector<std::string> names;
  names.reserve(move.nodes.size());
  for (const std::uint32_t node : move.nodes) names.push_back(view.nodes[node]);
  return names;
}

/// "zone: 10.1.2.5:8080", "3 backends", "refused"
std::string outcome_text(const core::Outcome& outcome) {
  if (outcome.verdict == core::Verdict::Reject) return "refused";
  if (outcome.verdict == core::Verdict::Drop) return "dropped";
  const auto count = outcome.backends.size();
  const auto what = count == 1 ? outcome.backends.front().to_string() : counted(count, "backend");
  return outcome.tier ? fmt::format("{}: {}", short_key(*outcome.tier), what) : what;
}

std::string summary_of(const TrafficMoves& moves, std::size_t nodes) {
  if (moves.moved_nodes == 0) return "none of it would move";
  auto text = fmt::format("{} of it would move, on {} of {}", share_text(moves.share),
                          moves.moved_nodes, counted(nodes, "node"));
  if (moves.losing_nodes > 0) {
    text +=
        fmt::format("; {} would be left without a backend", counted(moves.losing_nodes, "node"));
  }
  if (moves.gaining_nodes > 0) {
    text += fmt::format("; {} would get one again", counted(moves.gaining_nodes, "node"));
  }
  return text;
}

void print_traffic(std::ostream& out, std::string_view name, const TrafficMoves& moves,
                   const MovesView& view) {
  const auto summary = fmt::format("{} traffic: {}", name, summary_of(moves, view.nodes.size()));
  for (const auto& line : wrap(summary, kTextWidth)) out << line << '\n';
  // What moves most, first.
  std::vector<const Move*> sorted;
  for (const auto& move : moves.moves) sorted.push_back(&move);
  std::ranges::stable_sort(sorted, std::ranges::greater(), &Move::share);
  const std::size_t shown = std::min(sorted.size(), kMostRows);
  Table rows({{"NODES"}, {"COUNT", Align::Right}, {"NOW"}, {"THEN"}, {"MOVES", Align::Right}}, 2);
  for (std::size_t i = 0; i < shown; ++i) {
    const Move& move = *sorted[i];
    rows.row({names_of(move, view), fmt::format("{}", move.nodes.size()), outcome_text(move.before),
              outcome_text(move.after), share_text(move.share)});
  }
  rows.print(out);
  if (shown < sorted.size()) {
    out << fmt::format("  and {} (-o json shows all)\n",
                       counted(sorted.size() - shown, "more line"));
  }
}

Json traffic_json(const TrafficMoves& moves, const MovesView& view) {
  Json::Array groups;
  for (const auto& move : moves.moves) {
    groups.emplace_back(Json::Object{{"nodes", Json(names_of(move, view))},
                                     {"before", outcome_json(move.before)},
                                     {"after", outcome_json(move.after)},
                                     {"moved_share", move.share}});
  }
  return Json::Object{{"moved_share", moves.share},
                      {"moved_nodes", std::uint64_t{moves.moved_nodes}},
                      {"losing_nodes", std::uint64_t{moves.losing_nodes}},
                      {"gaining_nodes", std::uint64_t{moves.gaining_nodes}},
                      {"groups", std::move(groups)}};
}

}  // namespace

void print_moves(std::ostream& out, const MovesView& view) {
  if (view.nodes.empty()) {
    out << "\nThe cluster has no Nodes.\n";
    return;
  }
  for (const auto& port : view.ports) {
    const auto name = port.port_name.empty() ? "" : " " + port.port_name;
    out << fmt::format("\nPort {}{}, {}\n", port_text(port.key.port, port.key.protocol), name,
                       to_string(port.key.family));
    const bool alike = port.external == port.internal;
    print_traffic(out, alike ? "Internal and external" : "Internal", port.internal, view);
    if (port.external && !alike) print_traffic(out, "External", *port.external, view);
  }
}

Json to_json(const core::PortMoves& port, const MovesView& view) {
  auto object =
      Json::Object{{"port", Json::Object{{"name", port.port_name},
                                         {"number", port.key.port},
                                         {"protocol", to_string(port.key.protocol)}}},
                   {"family", to_string(port.key.family)},
                   {"internal", traffic_json(port.internal, view)},
                   {"external", port.external ? traffic_json(*port.external, view) : Json()}};
  return object;
}

}  // namespace topolb::cli
