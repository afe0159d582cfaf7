// SPDX-License-Identifier: Apache-2.0
#include "cli/status_view.h"

#include <fmt/format.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

std::string state_text(const StatusView& status) {
  if (status.published_s == 0) return "not complete yet";
  return fmt::format("published {} ago ({}), {}", duration_text(status.age_s()),
                     time_text(status.published_s), counted(status.publications, "publication"));
}

std::string serving_text(const StatusView& status) {
  std::string text =
      fmt::format("{}, {}, {}", counted(status.service_ports, "Service port"),
                  counted(status.frontends, "frontend"),
                  counted(status.usable_backends + status.unusable_backends, "backend"));
  if (status.unusable_backends > 0) text += fmt::format(" ({} unusable)", status.unusable_backends);
  return text;
}

std::string flows_text(const FlowPressure& pressure) {
  std::string text = fmt::format("{} of {} ({})", pressure.flows, pressure.room,
                                 percent_text(pressure.flows, pressure.room));
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count != 0) text += fmt::format("; {} {}", count, what);
  };
  add(pressure.evicted, "made room for others");
  add(pressure.refused, "refused: the table was full");
  add(pressure.without_port, "refused: no source port was free");
  add(pressure.direct_refused, "masqueraded: a backend's node is without --dsr");
  return text;
}

Json flows_json(const std::optional<FlowPressure>& pressure) {
  if (!pressure) return {};
  return Json::Object{{"entries", pressure->flows},
                      {"max_entries", pressure->room},
                      {"opened", pressure->opened},
                      {"evicted", pressure->evicted},
                      {"refused", pressure->refused},
                      {"without_port", pressure->without_port},
                      {"direct_refused", pressure->direct_refused}};
}

Records hook_records(const std::vector<dataplane::Hook>& hooks) {
  Records records({{"HOOK", "name"},
                   {"ATTACHED", "attached"},
                   {"PROGRAM", "program_id", Align::Right},
                   {"WHERE", "where"}});
  for (const auto& hook : hooks) {
    records.add({hook.name, hook.attached, hook.program_id == 0 ? Json() : Json(hook.program_id),
                 hook.where.empty() ? Json() : Json(hook.where)});
  }
  return records;
}

}  // namespace

std::vector<std::string> StatusView::missing() const {
  std::vector<std::string> lacks;
  if (!agent_running) lacks.emplace_back("no agent runs (the kernel keeps its last state)");
  if (published_s == 0) lacks.emplace_back("no complete state has been published");
  std::vector<std::string> detached;
  for (const auto& hook : hooks) {
    if (!hook.attached) detached.push_back(hook.name);
  }
  if (!detached.empty()) lacks.push_back("not attached: " + joined(detached));
  return lacks;
}

void print_status(std::ostream& out, const StatusView& status) {
  Table facts({{""}, {""}});
  facts.row({std::string("Agent"), status.agent_running ? "running" : "not running"});
  facts.row({std::string("Node"), status.node.empty() ? "-" : status.node});
  facts.row({std::string("Pins"),
             fmt::format("{} (layout version {})", status.pin_path, status.layout_version)});
  facts.row({std::string("State"), state_text(status)});
  if (status.heard_s != 0) {
    facts.row({std::string("API"), fmt::format("every kind of object heard of within the last {}",
                                               duration_text(status.silence_s()))});
  }
  facts.row({std::string("Serving"), serving_text(status)});
  if (status.flows) facts.row({std::string("Flows"), flows_text(*status.flows)});
  std::string label = "Missing";
  for (const auto& lack : status.missing()) facts.row({std::exchange(label, ""), lack});
  facts.print(out);
  out << '\n';
  hook_records(status.hooks).print_table(out);
  out << '\n';
  map_records(status.maps, false).print_table(out);
}

void print_status_json(std::ostream& out, const StatusView& status) {
  JsonDocument document(out);
  document.member("node", status.node);
  document.member("agent_running", status.agent_running);
  document.member("pin_path", status.pin_path);
  document.member("layout_version", status.layout_version);
  const bool published = status.published_s != 0;
  document.member("published_seconds", published ? Json(status.published_s) : Json());
  document.member("age_seconds", published ? Json(status.age_s()) : Json());
  document.member("publications", status.publications);
  const bool heard = status.heard_s != 0;
  document.member("heard_seconds", heard ? Json(status.heard_s) : Json());
  document.member("silence_seconds", heard ? Json(status.silence_s()) : Json());
  document.member("service_ports", std::uint64_t{status.service_ports});
  document.member("frontends", std::uint64_t{status.frontends});
  document.member("usable_backends", std::uint64_t{status.usable_backends});
  document.member("unusable_backends", std::uint64_t{status.unusable_backends});
  document.member("flows", flows_json(status.flows));
  document.member("missing", Json(status.missing()));
  hook_records(status.hooks).add_to(document, "hooks");
  map_records(status.maps, false).add_to(document, "maps");
}

}  // namespace topolb::cli
