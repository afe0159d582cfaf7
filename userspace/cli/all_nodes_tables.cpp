// SPDX-License-Identifier: Apache-2.0
// print_all_nodes_tables(): what each Service port comes to, then what stands out.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "cli/all_nodes_view.h"
#include "cli/plan_view.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

using core::PortSpread;
using core::TrafficSpread;
using core::Verdict;

std::string ratio_text(double ratio) { return fmt::format("{:.1f}", ratio); }

std::string outcome_word(const core::Outcome& outcome) {
  if (outcome.verdict == Verdict::Reject) return "refused";
  if (outcome.verdict == Verdict::Drop) return "dropped";
  return outcome.tier ? short_key(*outcome.tier) : "no keys";
}

/// "hostname 2", "zone 4", "refused 1": nodes by what they get, in order of preference.
std::string tiers_text(const TrafficSpread& spread, const std::vector<std::string>& keys) {
  std::map<std::pair<std::size_t, std::string>, std::size_t> counts;
  for (const auto& outcome : spread.outcomes) {
    std::size_t rank = keys.size();
    if (outcome.tier) {
      rank = static_cast<std::size_t>(std::ranges::find(keys, *outcome.tier) - keys.begin());
    } else if (outcome.verdict != Verdict::Forward) {
      ++rank;
    }
    counts[{rank, outcome_word(outcome)}] += outcome.nodes.size();
  }
  std::vector<std::string> texts;
  texts.reserve(counts.size());
  for (const auto& [what, count] : counts) {
    texts.push_back(fmt::format("{} {}", what.second, count));
  }
  return joined(texts);
}

/// Of what is forwarded, what stays in its zone; "-" without zones.
std::string in_zone_text(const TrafficSpread& spread) {
  double kept = 0;
  double forwarded = 0;
  for (const auto& domain : spread.domains) {
    if (domain.key != core::kZoneLabel) continue;
    forwarded += domain.share;
    if (domain.value) kept += domain.kept;
  }
  return forwarded > 0 ? share_text(kept / forwarded) : "-";
}

std::string peak_text(const TrafficSpread& spread) {
  double peak = 0;
  for (const auto& backend : spread.backends) peak = std::max(peak, backend.ratio);
  return peak > 0 ? ratio_text(peak) : "-";
}

/// A row for each kind of traffic; the first cells are told once.
class TrafficTable {
 public:
  explicit TrafficTable(std::vector<TableColumn> columns) : table_(with_port(std::move(columns))) {}

  void row(const PortSpread& port, bool external, std::vector<TableCell> cells) {
    std::vector<TableCell> all{std::string(), std::string(), std::string()};
    if (last_ != port.key || external != last_external_) {
      if (last_.service != port.key.service) {
        all[0] = fmt::format("{}/{}", port.key.service.namespace_name, port.key.service.name);
      }
      if (last_ != port.key) {
        auto text = port_text(port.key.port, port.key.protocol);
        all[1] = port.key.family == Family::IPv6 ? text + " v6" : text;
      }
      all[2] = external ? "external" : "internal";
    }
    last_ = port.key;
    last_external_ = external;
    all.insert(all.end(), cells.begin(), cells.end());
    table_.row(std::move(all));
    ++rows_;
  }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  void print(std::ostream& out) const { table_.print(out); }

 private:
  static std::vector<TableColumn> with_port(std::vector<TableColumn> columns) {
    std::vector<TableColumn> all{{"SERVICE"}, {"PORT"}, {"TRAFFIC"}};
    all.insert(all.end(), columns.begin(), columns.end());
    return all;
  }

  Table table_;
  core::ServicePortKey last_;
  bool last_external_ = false;
  std::size_t rows_ = 0;
};

template <typename Visit>
void for_each_traffic(const AllNodesView& view, const Visit& visit) {
  for (const auto& port : view.ports) {
    visit(port, false, port.internal);
    if (port.external) visit(port, true, *port.external);
  }
}

void print_more(std::ostream& out, std::size_t count, std::string_view noun) {
  if (count > 0) out << fmt::format("and {} (-o json shows all)\n", counted(count, noun));
}

void print_services(std::ostream& out, const AllNodesView& view) {
  TrafficTable table({{"NODES BY TIER"},
                      {"BACKENDS", Align::Right},
                      {"IN ZONE", Align::Right},
                      {"PEAK", Align::Right}});
  for_each_traffic(view, [&](const PortSpread& port, bool external, const TrafficSpread& spread) {
    table.row(port, external,
              {tiers_text(spread, port.topology_keys), fmt::format("{}", spread.backends.size()),
               in_zone_text(spread), peak_text(spread)});
  });
  table.print(out);
}

struct Overload {
  const PortSpread* port;
  bool external;
  std::string where;
  double share;
  double ratio;
};

std::vector<Overload> overloads_of(const AllNodesView& view) {
  std::vector<Overload> overloads;
  for_each_traffic(view, [&](const PortSpread& port, bool external, const TrafficSpread& spread) {
    const auto add = [&](std::string where, const auto& load) {
      if (load.ratio <= kOverloadRatio + 1e-9) return;
      overloads.push_back({&port, external, std::move(where), load.share, load.ratio});
    };
    for (const auto& domain : spread.domains) {
      const auto key = short_key(domain.key);
      add(domain.value ? fmt::format("{}={}", key, *domain.value) : "no " + key, domain);
    }
    for (const auto& backend : spread.backends) {
      const auto address = backend.backend.to_string();
      add(backend.node.empty() ? address : fmt::format("{} on {}", address, backend.node), backend);
    }
  });
  std::ranges::stable_sort(overloads, std::ranges::greater(), &Overload::ratio);
  return overloads;
}

void print_overloads(std::ostream& out, const AllNodesView& view) {
  const auto overloads = overloads_of(view);
  if (overloads.empty()) return;
  out << fmt::format("\nOverloaded: more than {:.1f} times a fair share\n", kOverloadRatio);
  TrafficTable table({{"WHERE"}, {"SHARE", Align::Right}, {"LOAD", Align::Right}});
  const std::size_t shown = std::min(overloads.size(), kMostRows);
  for (std::size_t i = 0; i < shown; ++i) {
    const Overload& overload = overloads[i];
    table.row(*overload.port, overload.external,
              {overload.where, share_text(overload.share), ratio_text(overload.ratio)});
  }
  table.print(out);
  print_more(out, overloads.size() - shown, "more place");
}

void print_refusals(std::ostream& out, const AllNodesView& view) {
  TrafficTable table({{"VERDICT"}, {"COUNT", Align::Right}, {"NODES"}});
  std::size_t left_out = 0;
  for_each_traffic(view, [&](const PortSpread& port, bool external, const TrafficSpread& spread) {
    for (const auto& outcome : spread.outcomes) {
      if (outcome.verdict == Verdict::Forward) continue;
      if (table.rows() == kMostRows) {
        ++left_out;
        continue;
      }
      std::vector<std::string> names;
      for (const std::uint32_t node : outcome.nodes) names.push_back(view.nodes[node].name);
      table.row(port, external,
                {std::string(core::to_string(outcome.verdict)),
                 fmt::format("{}", outcome.nodes.size()), std::move(names)});
    }
  });
  if (table.rows() == 0) return;
  out << "\nNodes without a backend\n";
  table.print(out);
  print_more(out, left_out, "more line");
}

void print_nodes(std::ostream& out, const AllNodesView& view) {
  auto nodes = view.nodes;
  std::ranges::stable_sort(nodes, [](const NodeLoad& a, const NodeLoad& b) {
    return std::pair(a.refused_ports, a.ratio()) > std::pair(b.refused_ports, b.ratio());
  });
  const std::size_t shown = std::min(nodes.size(), kMostRows);
  out << "\nNodes: internal traffic to their backends, and Service ports that refuse them\n";
  Table table(
      {{"NODE"}, {"SHARE", Align::Right}, {"LOAD", Align::Right}, {"REFUSED", Align::Right}});
  for (std::size_t i = 0; i < shown; ++i) {
    const NodeLoad& node = nodes[i];
    table.row({node.name, share_text(node.share),
               node.fair_share > 0 ? ratio_text(node.ratio()) : "-",
               fmt::format("{}", node.refused_ports)});
  }
  table.print(out);
  print_more(out, nodes.size() - shown, "more node");
}

}  // namespace

void print_all_nodes_tables(std::ostream& out, const AllNodesView& view) {
  if (view.nodes.empty() || view.ports.empty()) {
    out << (view.nodes.empty() ? "No Nodes.\n" : "No Service to serve.\n");
  } else {
    out << fmt::format("{}, {}; every node is taken to send as much as any other.\n\n",
                       counted(view.nodes.size(), "node"),
                       counted(view.ports.size(), "Service port"));
    print_services(out, view);
    print_overloads(out, view);
    print_refusals(out, view);
    print_nodes(out, view);
  }
  if (view.problems.empty()) return;
  out << '\n' << counted(view.problems.size(), "problem") << ":\n";
  print_problems_table(out, view.problems);
}

}  // namespace topolb::cli
